"""CAMs as a DICOM Parametric Map: one frame per class, at the rows and columns of the source image."""

from __future__ import annotations

import pkgutil
from typing import NamedTuple

import numpy as np
from highdicom import PaletteColorLUTTransformation, VOILUTTransformation
from highdicom.pm import ParametricMap, RealWorldValueMapping
from jaxtyping import Shaped
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from ggcam.dicom_output.codes import long_string, short_string
from ggcam.dicom_output.options import RESEARCH_USE
from ggcam.dicom_output.subject import Subject
from ggcam.report.overlay import colour_table

_LEVELS = 2**16


class Encoded(NamedTuple):
    """CAMs as a map stores them.

    Attributes:
        stored: shape (h, w, k), float32 or uint16.
        slope: real value of a step of the stored values.
        intercept: real value of the stored value 0.
        first: smallest stored value, that of the padding included.
        last: largest stored value.
        padding: stored value where the network did not see the image; None if it saw the whole image.
    """

    stored: Shaped[np.ndarray, "h w k"]
    slope: float
    intercept: float
    first: float
    last: float
    padding: float | None


class ClassMap(ParametricMap):
    """A Parametric Map whose frames are labelled with their class and indexed by it.

    highdicom indexes the frames of a map by their position in space, and fails where an image has none, as radiographs
    do: the frames then lack the index that it announces.
    """

    def _build_luts(self) -> None:
        for number, frame in enumerate(self.PerFrameFunctionalGroupsSequence, 1):
            content = frame.FrameContentSequence[0]
            content.FrameLabel = frame.RealWorldValueMappingSequence[0].LUTExplanation
            if not content.DimensionIndexValues:
                content.DimensionIndexValues = [number]
        super()._build_luts()


def parametric_map(subject: Subject) -> ClassMap:
    """Make the map of an image.

    Real values are those of the CAM: evidence for a class, whose mean over the frame of the network is the logit minus
    the bias. All classes share one scale. Pixels that the network did not see have the padding value, which is below
    all others. Maps of 16 bits have the colours of the overlays as their palette, and are compressed with JPEG 2000
    without loss; the standard knows neither a palette nor a compression for maps of float32.

    Args:
        subject: the image and its prediction.

    Returns:
        The Parametric Map.
    """
    encoded = encode(subject)
    integers = subject.options.map_bits == 16
    made = ClassMap(
        source_images=[subject.reference],
        pixel_array=encoded.stored[None],
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[[_mapping(name, encoded, integers)] for name in subject.class_names],
        voi_lut_transformations=[_window(encoded)],
        transfer_syntax_uid=JPEG2000Lossless if integers else ExplicitVRLittleEndian,
        content_label="CLASS_ACTIVATION",
        content_description=long_string(f"Class activation maps. {RESEARCH_USE}"),
        palette_color_lut_transformation=_palette() if integers else None,
        icc_profile=_srgb() if integers else None,
        derivation=codes.DCM.ClassActivation,
        **subject.series("pm"),
    )
    if integers:
        _add_colour_range(made, encoded)
    if encoded.padding is not None:
        setattr(made, "PixelPaddingValue" if integers else "FloatPixelPaddingValue", encoded.padding)
    _complete_space(subject, made)
    return made


def encode(subject: Subject) -> Encoded:
    """Convert the CAMs of an image to stored values.

    Args:
        subject: the image and its prediction.

    Returns:
        Stored values and their meaning.
    """
    low, high = subject.cam_range
    cams = np.moveaxis(subject.cams, 0, -1)
    unseen = bool(subject.unseen.any())
    if subject.options.map_bits == 32:
        below = float(min(np.float32(low - (high - low) / 100), np.nextafter(np.float32(low), np.float32(-np.inf))))
        stored = np.where(subject.unseen[..., None], np.float32(below), cams).astype(np.float32)
        return Encoded(stored, 1.0, 0.0, below if unseen else low, high, below if unseen else None)
    first = 1 if unseen else 0
    slope = (high - low) / (_LEVELS - 1 - first) or 1.0
    intercept = low - first * slope
    levels = np.rint((cams.astype(np.float64) - intercept) / slope)
    stored = np.where(subject.unseen[..., None], 0, levels).astype(np.uint16)
    return Encoded(stored, slope, intercept, 0, _LEVELS - 1, 0 if unseen else None)


def _mapping(name: str, encoded: Encoded, integers: bool) -> RealWorldValueMapping:
    ends = encoded.first, encoded.last
    return RealWorldValueMapping(
        lut_label=short_string(name),
        lut_explanation=long_string(name),
        unit=codes.UCUM.NoUnits,
        value_range=(int(ends[0]), int(ends[1])) if integers else (float(ends[0]), float(ends[1])),
        slope=encoded.slope,
        intercept=encoded.intercept,
        quantity_definition=codes.DCM.ClassActivation,
    )


def _window(encoded: Encoded) -> VOILUTTransformation:
    width = encoded.last - encoded.first
    return VOILUTTransformation(
        window_center=(encoded.first + encoded.last) / 2,
        window_width=width if width > 0 else 1.0,
        voi_lut_function="LINEAR_EXACT",
    )


def _palette() -> PaletteColorLUTTransformation:
    """Return the colours of the overlays, one for each stored value."""
    colours = colour_table().astype(np.uint16) * np.uint16(257)
    return PaletteColorLUTTransformation.from_combined_lut(np.repeat(colours, _LEVELS // len(colours), axis=0))


def _srgb() -> bytes | None:
    return pkgutil.get_data("highdicom", "_icc_profiles/sRGB_v4_ICC_preference.icc")


def _add_colour_range(made: ClassMap, encoded: Encoded) -> None:
    """State which stored values have the first and the last colour of the palette."""
    item = Dataset()
    item.MinimumStoredValueMapped, item.MaximumStoredValueMapped = float(encoded.first), float(encoded.last)
    made.SharedFunctionalGroupsSequence[0].StoredValueColorRangeSequence = [item]


def _complete_space(subject: Subject, made: ClassMap) -> None:
    """Add what a map has to state about space: radiographs often have no frame of reference, so it gets its own."""
    if "FrameOfReferenceUID" not in made:
        made.FrameOfReferenceUID = subject.uid("frame of reference")
        made.PositionReferenceIndicator = None
    reference = subject.reference
    spacing = reference.get("ImagerPixelSpacing")
    if reference.get("PixelSpacing"):
        return
    if reference.get("PixelAspectRatio"):
        made.PixelAspectRatio = reference.PixelAspectRatio
    elif spacing and len(spacing) == 2 and spacing[0] != spacing[1]:
        made.PixelAspectRatio = [round(1000 * float(each)) for each in spacing]
