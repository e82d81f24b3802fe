"""A case: one image of a patient with its label, gaze, regions and masks; and the geometry that maps it to a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool

from ggcam.data.affine import Affine
from ggcam.errors import ConfigError, DataError
from ggcam.gaze.fixations import Fixations, concatenate
from ggcam.gaze.mentions import Mention

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")

Label = int | tuple[int | None, ...]
"""Index into the class names; in multi-label data 1, 0 or None (unknown) for each class."""

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
"""Names of anatomical regions: they mark structures that every chest has, not findings."""

SHORTCUT_MARKER = "shortcut marker"
"""Name of the region of the marker in simulated images; it is not a finding either."""


ImageKind = Literal["chest", "other"]
"""What the images of a data set show: frontal chest X-rays, or anything else."""


def is_finding(name: str) -> bool:
    """Return whether a region of this name marks a finding, not an anatomical structure or a simulated marker."""
    return name.lower() not in ANATOMY_REGIONS and name != SHORTCUT_MARKER


@dataclass(frozen=True)
class Region:
    """A named rectangle, or the axis-aligned ellipse inscribed in it, in continuous pixels of the image.

    Attributes:
        name: finding or anatomical structure.
        kind: "box" or "ellipse"; in a prepared folder also "mask", the box around a mask.
        x0_px: left edge.
        y0_px: top edge.
        x1_px: right edge.
        y1_px: bottom edge.
    """

    name: str
    kind: Literal["box", "ellipse", "mask"]
    x0_px: float
    y0_px: float
    x1_px: float
    y1_px: float

    @property
    def is_finding(self) -> bool:
        """Whether the region marks a finding, not an anatomical structure or a simulated marker."""
        return is_finding(self.name)

    def transformed(self, affine: Affine) -> Region:
        """Map the region to another image's coordinates.

        Args:
            affine: map of pixel coordinates; it may mirror.

        Returns:
            The region with x0_px <= x1_px and y0_px <= y1_px.
        """
        # Without arrays, which take ten times as long for two numbers.
        x0, x1 = sorted(affine.scale_x * x + affine.shift_x_px for x in (self.x0_px, self.x1_px))
        y0, y1 = sorted(affine.scale_y * y + affine.shift_y_px for y in (self.y0_px, self.y1_px))
        return Region(self.name, self.kind, x0, y0, x1, y1)


@runtime_checkable
class RegionMask(Protocol):
    """A region of any shape, whose pixels are read when they are needed; see :mod:`ggcam.data.region_masks`.

    It must be picklable, and its `repr` must tell different masks apart.
    """

    def read(self, height_px: int, width_px: int) -> Bool[np.ndarray, "h w"]:
        """Draw the mask.

        Args:
            height_px: height of the raw image in pixels.
            width_px: width of the raw image in pixels.

        Returns:
            True inside; of the raw image's size.

        Raises:
            ImageError: the mask cannot be read, or belongs to an image of another size.
        """
        ...


@dataclass(frozen=True)
class Frame:
    """The size of the prepared images.

    Attributes:
        height_px: height in pixels, divisible by 32.
        width_px: width in pixels, divisible by 32.

    Raises:
        ConfigError: a side is not divisible by 32 (the message names the nearest size that is), or the frame has more
            than `max_pixels` pixels.
    """

    height_px: int = 1536
    width_px: int = 1280

    multiple = 32
    """Divisor of both sides: the largest stride of a backbone."""

    max_pixels = 2**26
    """Maximum number of pixels: 8192x8192."""

    def __post_init__(self) -> None:
        if self.height_px * self.width_px > self.max_pixels:
            raise ConfigError(
                f"{self.height_px}x{self.width_px} is too large",
                where="--size HEIGHTxWIDTH",
                expected=f"at most {self.max_pixels:,} pixels",
            )
        for side in (self.height_px, self.width_px):
            if side < self.multiple or side % self.multiple:
                raise ConfigError(
                    f"{self.height_px}x{self.width_px} is not divisible by {self.multiple}",
                    where="--size HEIGHTxWIDTH",
                    hint=f"use {self._rounded(self.height_px)}x{self._rounded(self.width_px)}",
                )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels, as the shape of an array."""
        return self.height_px, self.width_px

    def _rounded(self, side: int) -> int:
        return max(self.multiple, round(side / self.multiple) * self.multiple)

    @classmethod
    def parse(cls, text: str) -> Frame:
        """Parse a size.

        Args:
            text: HEIGHTxWIDTH in pixels, such as "1536x1280".

        Returns:
            The frame.

        Raises:
            ConfigError: the text has another form, or a side is not divisible by 32.
        """
        try:
            height, width = (int(part) for part in text.lower().split("x"))
        except ValueError:
            raise ConfigError(
                "not a frame size",
                where="--size",
                expected="HEIGHTxWIDTH in pixels, such as 1536x1280",
                got=repr(text),
            ) from None
        return cls(height, width)

    def __str__(self) -> str:
        return f"{self.height_px}x{self.width_px}"

    def fit(self, height_px: int, width_px: int) -> Affine:
        """Fit a whole image into the frame as large as possible, centred, with its aspect ratio kept to the pixel.

        Args:
            height_px: height of the raw image in pixels.
            width_px: width of the raw image in pixels.

        Returns:
            Map from the raw image to the frame.
        """
        height, width = self.fitted_size(height_px, width_px)
        return Affine(
            scale_x=width / width_px,
            shift_x_px=float((self.width_px - width) // 2),
            scale_y=height / height_px,
            shift_y_px=float((self.height_px - height) // 2),
        )

    def fitted_size(self, height_px: int, width_px: int) -> tuple[int, int]:
        """Compute the size of a fitted image in the frame.

        Args:
            height_px: height of the raw image in pixels.
            width_px: width of the raw image in pixels.

        Returns:
            Height and width in pixels of the frame.
        """
        scale = min(self.height_px / height_px, self.width_px / width_px)
        height = min(self.height_px, max(1, round(height_px * scale)))
        return height, min(self.width_px, max(1, round(width_px * scale)))


@dataclass(frozen=True)
class Case:
    """One image with its label, gaze and regions. Pixels are read from disk when they are needed.

    Attributes:
        case_id: unique id in the source, of letters, digits, '.', '_' and '-', because it names files.
        patient_id: id of the patient; by default, a split keeps all cases of a patient together.
        label: index into the source's class names; in multi-label data 1, 0 or None (unknown) for each class.
        image: path of the image file.
        readings: reading id -> fixations, in pixels of the raw image.
        masks: anatomical masks of the raw image's size, nonzero inside.
        regions: boxes and ellipses, in pixels of the raw image.
        region_masks: name of a finding -> its region as a mask, for regions that are not boxes or ellipses.
        mentions: reading id -> findings that the reader named, on the clock of the reading's fixations.
        split: split given by the source; None if it gives none.
        flags: short remarks kept with the case, such as "no_finding_dwell".
        raw_size: height and width in pixels of the image that the positions refer to; an image of another size is
            refused. None if unknown.
    """

    case_id: str
    patient_id: str
    label: Label
    image: Path
    readings: Mapping[str, Fixations] = field(default_factory=dict)
    masks: Mapping[MaskName, Path] = field(default_factory=dict)
    regions: tuple[Region, ...] = ()
    region_masks: Mapping[str, RegionMask] = field(default_factory=dict)
    mentions: Mapping[str, Sequence[Mention]] = field(default_factory=dict)
    split: Split | None = None
    flags: tuple[str, ...] = ()
    raw_size: tuple[int, int] | None = None

    @property
    def class_index(self) -> int:
        """Index of the case's only class.

        Raises:
            DataError: the case is multi-label.
        """
        if isinstance(self.label, int):
            return self.label
        raise DataError("multi-label cases are not supported here", got=f"case {self.case_id}")

    @property
    def fixations(self) -> Fixations:
        """Fixations of all readings, one reading after the other."""
        return concatenate(list(self.readings.values()))


OFF_IMAGE = "fixation off the image"
"""Reason under which fixations that do not lie on their image are counted in :attr:`Source.dropped`."""


@dataclass(frozen=True)
class Source:
    """The content of a raw data set, as a reader returns it.

    Attributes:
        name: name of the format, such as "egd_cxr".
        class_names: name of each class, in the order of the labels.
        cases: the cases, all single-label or all multi-label, in an order that depends only on the files.
        dropped: reason -> number of records, fixations or regions that were left out. Everything left out is counted.
        kind: what the images show, which decides the checks of `ggcam inspect`; None if the format does not tell.
    """

    name: str
    class_names: tuple[str, ...]
    cases: tuple[Case, ...]
    dropped: Mapping[str, int] = field(default_factory=dict)
    kind: ImageKind | None = None

    @property
    def multi_label(self) -> bool:
        """Whether a case may belong to several classes, or to none."""
        return any(isinstance(case.label, tuple) for case in self.cases)
