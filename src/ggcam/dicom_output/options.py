"""Which DICOM objects to write, and how."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Literal, get_args

from ggcam.errors import ConfigError

Kind = Literal["pm", "sr", "sc", "seg", "pr"]
"""Parametric Map, Structured Report, Secondary Capture, Segmentation, and Advanced Blending Presentation State."""

KINDS: tuple[Kind, ...] = get_args(Kind)

KIND_NAMES: dict[Kind, str] = {
    "pm": "class activation map",
    "sr": "measurement report",
    "sc": "overlay",
    "seg": "segmentation of class activation",
    "pr": "blending of image and map",
}
"""Kind -> what its objects contain; part of the series description."""

MapBits = Literal[32, 16]

RESEARCH_USE = "For research use. Not for diagnosis."


@dataclass(frozen=True)
class DicomOptions:
    """Which objects to make for each image.

    Attributes:
        kinds: kinds of objects, without duplicates.
        map_bits: 32 for maps of float32; 16 for unsigned integers with a slope, compressed without further loss.
        mask_threshold: share of the range of a CAM, above 0 and at most 1, from which a pixel belongs to a binary
            segmentation; None for a fractional one.
        anonymise: replace what identifies the patient, the study and the source image.

    Raises:
        ConfigError: an unknown kind, a presentation state without a map, or an invalid threshold.
    """

    kinds: tuple[Kind, ...] = ("pm", "sr", "sc")
    map_bits: MapBits = 32
    mask_threshold: float | None = None
    anonymise: bool = False

    def __post_init__(self) -> None:
        if not self.kinds or set(self.kinds) - set(KINDS):
            raise ConfigError(
                "unknown kind of DICOM object",
                where="--dicom-kinds",
                expected=f"one or more of {', '.join(KINDS)}",
                got=", ".join(self.kinds) or "none",
            )
        if "pr" in self.kinds and "pm" not in self.kinds:
            raise ConfigError(
                "a presentation state blends the image with its parametric map",
                where="--dicom-kinds",
                got=", ".join(self.kinds),
                hint="add pm to the kinds",
            )
        if self.mask_threshold is not None and not 0 < self.mask_threshold <= 1:
            raise ConfigError(
                "invalid threshold of the segmentation",
                where="--dicom-mask-threshold",
                expected="above 0, at most 1",
                got=self.mask_threshold,
            )


def parse_kinds(text: str) -> tuple[Kind, ...]:
    """Read a list of kinds.

    Args:
        text: kinds, separated by commas.

    Returns:
        The kinds in the order of `KINDS`.

    Raises:
        ConfigError: a kind is unknown, or there is none.

    Example:
        >>> parse_kinds("sc, pm")
        ('pm', 'sc')
    """
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    if not names or set(names) - set(KINDS):
        raise ConfigError(
            "unknown kind of DICOM object",
            where="--dicom-kinds",
            expected=f"a list of {', '.join(KINDS)}, separated by commas",
            got=text,
        )
    return tuple(kind for kind in KINDS if kind in names)


def check_highdicom(where: str) -> None:
    """Check that the package that writes DICOM objects is installed.

    Args:
        where: option that needs it, for the error message.

    Raises:
        ConfigError: it is not installed.
    """
    if importlib.util.find_spec("highdicom") is None:
        raise ConfigError("highdicom is not installed", where=where, hint="pip install 'ggcam[dicom]'")
