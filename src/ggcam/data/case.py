"""A case: one image of one patient with its label, gaze and regions; and the geometry that carries it into a frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from ggcam.errors import ConfigError, DataError
from ggcam.gaze.fixations import Fixations, concatenate

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")

Label = int | tuple[int | None, ...]
"""Index into the class names; where a case may belong to several: 1, 0 or None (unknown) for each class."""

MaskName = Literal["left_lung", "right_lung", "mediastinum"]
MASK_BITS: Mapping[MaskName, int] = {"left_lung": 1, "right_lung": 2, "mediastinum": 4}
"""Value of each anatomical mask in a prepared `masks/<case_id>.png`: bits 0, 1 and 2."""


_UNPAIRED = (
    "abdomen, aortic knob, cardiac silhouette, carina, cavoatrial junction, chest, descending aorta, mediastinum, "
    "right atrium, spine, svc, trachea, upper mediastinum"
)
_PAIRED = (
    "apical zone, clavicle, costophrenic angle, hemidiaphragm, hilar structures, lower lung zone, lung, mid lung zone, "
    "upper lung zone"
)
ANATOMY_REGIONS = frozenset(
    [*_UNPAIRED.split(", "), *(f"{side} {name}" for side in ("left", "right") for name in _PAIRED.split(", "))]
)
"""Names of regions that every chest has: they say where a structure is, not that something is wrong."""

SHORTCUT_MARKER = "shortcut marker"
"""Name of the region in which simulated images carry a marker: no finding either."""


@dataclass(frozen=True)
class Affine:
    """A scale and a shift per axis, between two images' continuous pixel coordinates (origin: top-left corner).

    `x' = scale_x * x + shift_x_px`, and the same downwards.
    """

    scale_x: float = 1.0
    shift_x_px: float = 0.0
    scale_y: float = 1.0
    shift_y_px: float = 0.0

    def apply_x(self, x_px: np.ndarray) -> np.ndarray:
        """Positions to the right, carried over."""
        return self.scale_x * x_px + self.shift_x_px

    def apply_y(self, y_px: np.ndarray) -> np.ndarray:
        """Positions downwards, carried over."""
        return self.scale_y * y_px + self.shift_y_px

    def inverse(self) -> Affine:
        """The way back."""
        return Affine(
            1 / self.scale_x,
            -self.shift_x_px / self.scale_x,
            1 / self.scale_y,
            -self.shift_y_px / self.scale_y,
        )

    def apply(self, fixations: Fixations) -> Fixations:
        """Fixations carried over; the pixels per degree scale with the image."""
        return replace(
            fixations,
            x_px=self.apply_x(fixations.x_px),
            y_px=self.apply_y(fixations.y_px),
            px_per_degree_x=fixations.px_per_degree_x * abs(self.scale_x),
            px_per_degree_y=fixations.px_per_degree_y * abs(self.scale_y),
        )


@dataclass(frozen=True)
class Region:
    """A named rectangle, or the axis-aligned ellipse inscribed in it, in continuous pixels of the image."""

    name: str
    kind: Literal["box", "ellipse"]
    x0_px: float
    y0_px: float
    x1_px: float
    y1_px: float

    @property
    def is_finding(self) -> bool:
        """Whether it marks something wrong, rather than a structure that every chest has or a simulated marker."""
        return self.name.lower() not in ANATOMY_REGIONS and self.name != SHORTCUT_MARKER

    def moved(self, affine: Affine) -> Region:
        """The region carried over into another image's coordinates."""
        x = affine.apply_x(np.array([self.x0_px, self.x1_px]))
        y = affine.apply_y(np.array([self.y0_px, self.y1_px]))
        return Region(self.name, self.kind, float(x.min()), float(y.min()), float(x.max()), float(y.max()))


@dataclass(frozen=True)
class Frame:
    """The size of the prepared images, in pixels."""

    height_px: int = 1536
    width_px: int = 1280

    multiple = 32
    """Both sides must be divisible by this: the stride of the coarsest backbone."""

    def __post_init__(self) -> None:
        for side in (self.height_px, self.width_px):
            if side < self.multiple or side % self.multiple:
                raise ConfigError(
                    f"a frame of {self.height_px}x{self.width_px} does not divide by {self.multiple}",
                    where="--size HEIGHTxWIDTH",
                    hint=f"use {self._rounded(self.height_px)}x{self._rounded(self.width_px)}",
                )

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width), as an array of its pixels has it."""
        return self.height_px, self.width_px

    def _rounded(self, side: int) -> int:
        return max(self.multiple, round(side / self.multiple) * self.multiple)

    @classmethod
    def parse(cls, text: str) -> Frame:
        """Read "HEIGHTxWIDTH", such as "1536x1280".

        Raises:
            ConfigError: the text is not of that form, or a side is not divisible by 32.
        """
        try:
            height, width = (int(part) for part in text.lower().split("x"))
        except ValueError:
            raise ConfigError(
                "a frame size is HEIGHTxWIDTH in pixels",
                where="--size",
                got=repr(text),
                expected="1536x1280, say",
            ) from None
        return cls(height, width)

    def __str__(self) -> str:
        return f"{self.height_px}x{self.width_px}"

    def fit(self, height_px: int, width_px: int) -> Affine:
        """Raw image -> frame: the whole image as large as it goes, aspect kept to the pixel, centred."""
        height, width = self.fitted_size(height_px, width_px)
        return Affine(
            scale_x=width / width_px,
            shift_x_px=float((self.width_px - width) // 2),
            scale_y=height / height_px,
            shift_y_px=float((self.height_px - height) // 2),
        )

    def fitted_size(self, height_px: int, width_px: int) -> tuple[int, int]:
        """Height and width in pixels that a raw image of the given size takes up in the frame."""
        scale = min(self.height_px / height_px, self.width_px / width_px)
        height = min(self.height_px, max(1, round(height_px * scale)))
        return height, min(self.width_px, max(1, round(width_px * scale)))


@dataclass(frozen=True)
class Case:
    """One image with what is known of it. Pixels stay on disk until somebody asks for them.

    Attributes:
        case_id: unique in its source; made of letters, digits, '.', '_' and '-' (it names files).
        patient_id: cases with the same one never fall into different splits.
        label: index into the source's class names; in a multi-label source 1, 0 or None (unknown) for each of them.
        image: path of the image file.
        readings: reading id -> fixations, in pixels of the raw image.
        masks: anatomical masks of the raw image's size, nonzero inside.
        regions: boxes and ellipses, in pixels of the raw image.
        split: the source's own split, where it has one.
        flags: short remarks that travel with the case, such as "no_finding_dwell".
        raw_size: (height, width) in pixels of the image that the positions refer to, where the source knows it; an
            image of another size is refused.
    """

    case_id: str
    patient_id: str
    label: Label
    image: Path
    readings: Mapping[str, Fixations] = field(default_factory=dict)
    masks: Mapping[MaskName, Path] = field(default_factory=dict)
    regions: tuple[Region, ...] = ()
    split: Split | None = None
    flags: tuple[str, ...] = ()
    raw_size: tuple[int, int] | None = None

    @property
    def class_index(self) -> int:
        """The case's only class.

        Raises:
            DataError: it may belong to several.
        """
        if isinstance(self.label, int):
            return self.label
        raise DataError("a case may belong to several classes, and one is needed here", got=f"case {self.case_id}")

    @property
    def fixations(self) -> Fixations:
        """The fixations of all readings together."""
        return concatenate(list(self.readings.values()))


@dataclass(frozen=True)
class Source:
    """What a reader found in a raw data set.

    Attributes:
        name: name of the format, such as "egd_cxr".
        class_names: name of each label, in the order of the labels.
        cases: all with one label each, or all multi-label; in a fixed order that depends on the files alone.
        dropped: reason -> how many records, fixations or regions were left out for it. Nothing is left out uncounted.
    """

    name: str
    class_names: tuple[str, ...]
    cases: tuple[Case, ...]
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def multi_label(self) -> bool:
        """Whether a case may belong to several classes, or to none."""
        return any(isinstance(case.label, tuple) for case in self.cases)
