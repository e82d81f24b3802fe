"""Replace what identifies the patient, the study and the source image."""

from __future__ import annotations

import secrets

from pydicom.dataset import Dataset

from ggcam.dicom_output.uids import derive_uid

_TECHNICAL = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "Modality",
    "BodyPartExamined",
    "ViewPosition",
    "PatientOrientation",
    "Laterality",
    "ImageLaterality",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "PixelAspectRatio",
    "SliceThickness",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
    "BurnedInAnnotation",
)
"""Attributes that are kept: what describes the pixels and what they show. All others are left out."""

_UIDS = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
_EMPTY = ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime")


class Anonymiser:
    """Replaces identities, the same one always by the same, by means of a secret that is forgotten afterwards.

    Without the secret nothing leads back from a new identity to the old one, not even by trying all patient numbers.
    """

    def __init__(self) -> None:
        self._secret = secrets.token_hex(32)
        self.number = secrets.token_hex(8)
        """Tells this object from others, and nothing about its secret."""

    def __call__(self, reference: Dataset) -> Dataset:
        """Replace the identities in the attributes of a source image.

        Args:
            reference: see :func:`ggcam.dicom_output.source.read_source`.

        Returns:
            A new dataset: technical attributes, new UIDs, and a made-up patient without name, dates and sex.
        """
        new = Dataset()
        for name in _TECHNICAL:
            if name in reference:
                new.add(reference[name])
        for name in _UIDS:
            if reference.get(name):
                setattr(new, name, derive_uid(self._secret, str(reference[name].value)))
        for name in _EMPTY:
            setattr(new, name, None)
        patient = str(reference.get("PatientID") or reference.StudyInstanceUID)
        number = derive_uid(self._secret, "patient", patient).rpartition(".")[2][:12]
        new.PatientID = f"ANON-{number}"
        new.PatientName = f"Anonymous^{number}"
        new.ReferringPhysicianName = None
        new.PatientIdentityRemoved = "YES"
        new.DeidentificationMethod = "ggcam: only technical attributes kept, UIDs new"
        return new
