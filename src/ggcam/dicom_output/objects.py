"""Make the DICOM objects of one predicted image."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from pydicom.dataset import Dataset

from ggcam.dicom_output.options import Kind
from ggcam.dicom_output.parametric_map import parametric_map
from ggcam.dicom_output.presentation_state import presentation_state
from ggcam.dicom_output.secondary_capture import secondary_capture
from ggcam.dicom_output.segmentation import segmentation
from ggcam.dicom_output.structured_report import structured_report
from ggcam.dicom_output.subject import Subject
from ggcam.errors import ImageError


def dicom_objects(subject: Subject) -> dict[Kind, Dataset]:
    """Make the objects that the options ask for.

    They belong to the study of the source image, in series of their own, and say that they are for research use. Their
    UIDs are derived from the source image, the network and the options: objects that are made again are the same.

    Args:
        subject: the image, its prediction, the network and the options.

    Returns:
        Kind -> object, in the order of :data:`ggcam.dicom_output.options.KINDS`.

    Raises:
        ImageError: the attributes of the source image do not allow an object, or its file cannot be read any more.
    """
    made: dict[Kind, Dataset] = {}
    makers: dict[Kind, Callable[[], Dataset]] = {
        "pm": lambda: parametric_map(subject),
        "sr": lambda: structured_report(subject, made.get("pm")),
        "sc": lambda: secondary_capture(subject),
        "seg": lambda: segmentation(subject),
        "pr": lambda: presentation_state(subject, made["pm"]),
    }
    for kind, make in makers.items():
        if kind in subject.options.kinds:
            made[kind] = _make(kind, make, subject)
    return made


def _make(kind: Kind, make: Callable[[], Dataset], subject: Subject) -> Dataset:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's, about values that were copied from the source
            made = make()
            _complete(subject, kind, made)
            return made
    except (ValueError, TypeError, AttributeError, KeyError) as error:  # highdicom's, about the source's attributes
        raise ImageError(
            f"the attributes of the image do not allow a DICOM object of the kind {kind}",
            where=subject.result.image,
            hint="check the file with a DICOM validator, such as dciodvfy, or leave this kind out of --dicom-kinds",
        ) from error


def _complete(subject: Subject, kind: Kind, made: Dataset) -> None:
    """Add what all objects state about the source, and replace the random UIDs that highdicom makes."""
    reference = subject.reference
    if kind != "sr":  # a report has no body part
        for name in ("BodyPartExamined", "Laterality"):
            if reference.get(name):
                setattr(made, name, reference[name].value)
        if kind != "seg" and "BodyPartExamined" not in made and "Laterality" not in made:
            made.Laterality = None  # unknown: the body part may be a paired one
    if "DimensionOrganizationSequence" in made:
        uid = subject.uid("dimensions", kind)
        for item in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
            item.DimensionOrganizationUID = uid
