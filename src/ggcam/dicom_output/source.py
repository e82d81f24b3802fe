"""Read the attributes of a source image that its results need: patient, study, identifiers and geometry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydicom.config import RAISE
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID
from pydicom.valuerep import PersonName, validate_value

from ggcam.data.decoding import decode_in_worker
from ggcam.data.dicom_file import read_dicom_header
from ggcam.data.image_errors import image_errors
from ggcam.data.images import is_dicom_file
from ggcam.dicom_output.uids import derive_uid
from ggcam.errors import ImageError
from ggcam.utils.digest import file_sha256

_IMAGE_CLASSES = {
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
}
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
"""Class of an image that names none, nor a modality of `_IMAGE_CLASSES`."""

_IDENTIFIERS = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
_TYPE_2 = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
"""Attributes that every object has, empty if they are not known."""

_SEXES = ("M", "F", "O")
_BULK = frozenset({"OB", "OW", "OF", "OD", "OL", "OV", "UN"})
_NOT_COPIED = frozenset({"NumberOfFrames", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"})
"""Attributes of enhanced objects: only images of one frame are predicted."""


@dataclass(frozen=True, eq=False)
class SourceImage:
    """A DICOM image as its results refer to it.

    Attributes:
        reference: its valid public attributes without pixels; text is Unicode. Identifiers and the attributes of type 2
            are always there.
        made_up: attributes that every object needs and that the file lacks or has wrong, so they were made up.
        ignored: attributes with invalid values.
    """

    reference: Dataset
    made_up: tuple[str, ...]
    ignored: tuple[str, ...]


def read_source(path: Path) -> SourceImage:
    """Read what the results of an image need to know about it, in a worker process.

    A missing identifier is derived from the content of the file, so results of one file always belong together.

    Args:
        path: DICOM file.

    Returns:
        The source image.

    Raises:
        ImageError: the file is not DICOM, or cannot be read, or not an image that DICOM objects may refer to.
    """
    if not is_dicom_file(path):
        raise ImageError(
            "not a DICOM file, so the image belongs to no study that results could join",
            where=path,
            expected="a DICOM image, for DICOM results",
            hint="leave --dicom-out out: predictions.csv and the overlays work for PNG, JPEG and TIFF",
        )
    return decode_in_worker(_read, path, path)


def _read(path: Path) -> SourceImage:
    with image_errors(path):
        header = read_dicom_header(path)
        header.decode()
        ignored: list[str] = []
        reference = _valid_attributes(header, ignored)
        for name in _NOT_COPIED & set(reference.dir()):
            delattr(reference, name)
        _check_sex(reference, ignored)
        made_up = _complete(reference, path)
        return SourceImage(reference, made_up, tuple(dict.fromkeys(ignored)))


def _valid_attributes(dataset: Dataset, ignored: list[str]) -> Dataset:
    """Copy the public attributes whose values follow their value representation, without pixels and other bulk data."""
    copy = Dataset()
    for tag in list(dataset.keys()):
        if tag.is_private or tag.group in (0x0002, 0x7FE0) or 0x5000 <= tag.group <= 0x60FF:
            continue
        try:
            element = dataset[tag]
            if element.VR == "SQ":
                items = [_valid_attributes(item, ignored) for item in element.value]
                copy.add_new(tag, "SQ", DicomSequence(items))
            elif element.keyword == "LUTData":  # words or bytes
                copy.add(element)
            elif element.VR not in _BULK:
                values = element.value if element.VM > 1 else [element.value]
                for value in filter(None, values):
                    if isinstance(value, (str, PersonName)):  # numbers were checked when they were converted
                        validate_value(element.VR, str(value), RAISE)
                copy.add(element)
        except Exception:  # pydicom does not document what it raises for values that it cannot convert
            ignored.append(_keyword(tag))
    if "SpecificCharacterSet" in copy:
        copy.SpecificCharacterSet = "ISO_IR 192"
    return copy


def _keyword(tag: int) -> str:
    from pydicom.datadict import keyword_for_tag

    return keyword_for_tag(tag) or str(tag)


def _check_sex(reference: Dataset, ignored: list[str]) -> None:
    if reference.get("PatientSex") and reference.PatientSex not in _SEXES:
        ignored.append("PatientSex")
        reference.PatientSex = None


def _complete(reference: Dataset, path: Path) -> tuple[str, ...]:
    """Add what every object needs, and return the names of the attributes that were made up."""
    reference.SpecificCharacterSet = "ISO_IR 192"
    made_up = _complete_class(reference, path)
    for name in _IDENTIFIERS:
        if not UID(str(reference.get(name) or "")).is_valid or not reference.get(name):
            setattr(reference, name, derive_uid(name, file_sha256(path)))
            made_up.append(name)
    for name in _TYPE_2:
        if not reference.get(name):
            setattr(reference, name, None)
    _complete_geometry(reference)
    return tuple(made_up)


def _complete_class(reference: Dataset, path: Path) -> list[str]:
    made_up: list[str] = []
    if not reference.get("SOPClassUID"):
        reference.SOPClassUID = UID(_IMAGE_CLASSES.get(str(reference.get("Modality")), _SECONDARY_CAPTURE))
        made_up.append("SOPClassUID")
    if not reference.get("Modality"):
        reference.Modality = "OT"
    uid = UID(reference.SOPClassUID)
    if "Image Storage" not in uid.name:
        raise ImageError(
            "the SOP class of the file is not a kind of image that DICOM results can refer to",
            where=path,
            expected="a standard class of images, such as Digital X-Ray Image Storage",
            got=uid.name,
        )
    return made_up


def _complete_geometry(reference: Dataset) -> None:
    """Remove a position in space that is not complete: highdicom would look for the rest of it."""
    position = (
        "FrameOfReferenceUID",
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "SliceThickness",
    )
    if not all(reference.get(name) for name in position):
        for name in ("ImagePositionPatient", "ImageOrientationPatient"):
            if name in reference:
                delattr(reference, name)
    if "FrameOfReferenceUID" in reference and not reference.FrameOfReferenceUID:
        del reference.FrameOfReferenceUID
