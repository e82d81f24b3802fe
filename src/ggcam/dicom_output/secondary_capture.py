"""The picture of a prediction as a DICOM Secondary Capture, for viewers that show neither maps nor reports."""

from __future__ import annotations

from highdicom.sc import SCImage
from pydicom.uid import ExplicitVRLittleEndian

from ggcam.dicom_output.picture import draw_picture
from ggcam.dicom_output.subject import Subject


def secondary_capture(subject: Subject) -> SCImage:
    """Make the Secondary Capture of an image; see :func:`ggcam.dicom_output.picture.draw_picture`.

    Args:
        subject: the image and its prediction.

    Returns:
        The Secondary Capture.
    """
    made = SCImage.from_ref_dataset(
        ref_dataset=subject.reference,
        pixel_array=draw_picture(subject),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),  # replaced below; highdicom demands one
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **subject.series("sc"),
    )
    made.copy_patient_and_study_information(subject.reference)
    made.PatientOrientation = []  # two panels and text have none
    made.ConversionType = "WSD"
    made.BurnedInAnnotation = "YES"
    return made
