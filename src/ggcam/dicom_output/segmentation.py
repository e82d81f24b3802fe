"""CAMs as a DICOM Segmentation: one segment per class."""

from __future__ import annotations

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import Segmentation, SegmentationFractionalTypeValues, SegmentationTypeValues, SegmentDescription
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from ggcam.dicom_output.codes import class_code, long_string
from ggcam.dicom_output.model_identity import MANUFACTURER
from ggcam.dicom_output.options import RESEARCH_USE
from ggcam.dicom_output.subject import Subject

_CATEGORY = Code("49755003", "SCT", "Morphologically Abnormal Structure")


def segmentation(subject: Subject) -> Segmentation:
    """Make the segmentation of an image.

    The CAM of each class is scaled from its own range to 0..1. A fractional segmentation stores these values in 255
    steps; they rank pixels, and are not calibrated probabilities. With `mask_threshold` the segmentation is binary. The
    part of the image that the network did not see belongs to no segment.

    Args:
        subject: the image and its prediction.

    Returns:
        The Segmentation.
    """
    threshold = subject.options.mask_threshold
    unit = np.stack([subject.unit_cam(name) for name in subject.class_names], axis=-1)[None]
    binary = threshold is not None
    made = Segmentation(
        source_images=[subject.reference],
        pixel_array=(unit >= threshold).astype(np.uint8) if binary else unit,
        segmentation_type=SegmentationTypeValues.BINARY if binary else SegmentationTypeValues.FRACTIONAL,
        fractional_type=SegmentationFractionalTypeValues.PROBABILITY,
        segment_descriptions=[_describe(subject, name, number) for number, name in enumerate(subject.class_names, 1)],
        content_label="CLASS_ACTIVATION",
        content_description=long_string(f"Class activation, 0 to 1. {RESEARCH_USE}"),
        omit_empty_frames=False,
        **subject.series("seg"),
    )
    made.PatientOrientation = subject.reference.get("PatientOrientation")
    return made


def _describe(subject: Subject, name: str, number: int) -> SegmentDescription:
    algorithm = AlgorithmIdentificationSequence(
        name=long_string(f"{MANUFACTURER} {subject.model.name}"),
        family=codes.DCM.ArtificialIntelligence,
        version=long_string(subject.model.version),
        parameters={"weights_sha256": subject.model.weights_sha256, **subject.model.lower_precision},
    )
    return SegmentDescription(
        segment_number=number,
        segment_label=long_string(name),
        segmented_property_category=_CATEGORY,
        segmented_property_type=class_code(name),
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
        tracking_uid=subject.uid("tracking", "segment", name),
        tracking_id=long_string(name),
    )
