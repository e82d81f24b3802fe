"""How a viewer blends the map of the predicted class with the image: an Advanced Blending Presentation State."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from highdicom import VOILUT, PaletteColorLUTTransformation
from highdicom.pr import (
    AdvancedBlending,
    AdvancedBlendingPresentationState,
    BlendingDisplay,
    BlendingDisplayInput,
    SoftcopyVOILUTTransformation,
)
from pydicom.dataset import Dataset

from ggcam.data.dicom_attributes import read_lut
from ggcam.dicom_output.codes import long_string
from ggcam.dicom_output.options import RESEARCH_USE
from ggcam.dicom_output.parametric_map import encode
from ggcam.dicom_output.subject import Subject
from ggcam.report.overlay import colour_table

OPACITY = 0.4
"""Opacity of the map."""


def presentation_state(subject: Subject, class_map: Dataset) -> AdvancedBlendingPresentationState:
    """Make the presentation state of an image.

    The image keeps its own window, in grey; the map of the predicted class has the colours of the overlays.

    Args:
        subject: the image and its prediction.
        class_map: its Parametric Map.

    Returns:
        The presentation state.
    """
    image, blended_map = _in_one_space(subject.reference, class_map)
    encoded = encode(subject)
    window = SoftcopyVOILUTTransformation(
        window_center=(encoded.first + encoded.last) / 2,
        window_width=(encoded.last - encoded.first) or 1.0,
        voi_lut_function="LINEAR_EXACT",
    )
    inputs = [
        AdvancedBlending(
            [image],
            1,
            voi_lut_transformations=_lut_of(subject),
            palette_color_lut_transformation=_greys(image),
        ),
        AdvancedBlending(
            [blended_map], 2, voi_lut_transformations=[window], palette_color_lut_transformation=_colours()
        ),
    ]
    predicted_frame = subject.class_names.index(subject.result.predicted) + 1
    inputs[1].ReferencedImageSequence[0].ReferencedFrameNumber = predicted_frame
    display = BlendingDisplay(
        blending_mode="FOREGROUND",
        blending_display_inputs=[BlendingDisplayInput(2), BlendingDisplayInput(1)],
        relative_opacity=OPACITY,
    )
    return AdvancedBlendingPresentationState(
        referenced_images=[image, blended_map],
        blending=inputs,
        blending_display=[display],
        content_label="CLASS_ACTIVATION",
        content_description=long_string(f"{subject.result.predicted}. {RESEARCH_USE}"),
        **subject.series("pr"),
    )


def _lut_of(subject: Subject) -> list[SoftcopyVOILUTTransformation] | None:
    """Return the VOI LUT of the image, with its largest entry as white; None to use the window of the image."""
    reference = subject.reference
    if "VOILUTSequence" not in reference or not isinstance(subject.result.image, Path):
        return None
    bits, signed = int(reference.BitsStored), bool(reference.get("PixelRepresentation"))
    ends = np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if signed else [0, 2**bits - 1])
    lut = read_lut(reference, "VOILUTSequence", ends, subject.result.image, little_endian=True)
    if lut is None:
        return None
    entries = np.rint(lut.entries * (65535 / lut.entries.max())).astype(np.uint16)
    return [SoftcopyVOILUTTransformation(voi_luts=[VOILUT(lut.first, entries)])]


def _in_one_space(image: Dataset, class_map: Dataset) -> tuple[Dataset, Dataset]:
    """Return both without pixels and with one frame of reference: the map has the rows and columns of the image."""
    in_space = Dataset(), Dataset()
    for new, old in zip(in_space, (image, class_map), strict=True):
        new.update({element.tag: element for element in old if element.VR not in ("OB", "OW", "OF")})
        new.FrameOfReferenceUID = class_map.FrameOfReferenceUID
        new.pop("VOILUTSequence", None)
    return in_space


def _greys(image: Dataset) -> PaletteColorLUTTransformation | None:
    """Return a ramp of greys, from white to black if small values are white; None for an image in colour."""
    if image.SamplesPerPixel != 1:
        return None
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)
    if image.PhotometricInterpretation == "MONOCHROME1":
        ramp = ramp[::-1]
    return PaletteColorLUTTransformation.from_combined_lut(np.repeat(ramp[:, None], 3, axis=1))


def _colours() -> PaletteColorLUTTransformation:
    return PaletteColorLUTTransformation.from_combined_lut(colour_table().astype(np.uint16) * np.uint16(257))
