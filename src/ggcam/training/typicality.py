"""What the training images of a run look like, and the marks of an image that lies outside."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float

from ggcam.data.image_statistics import LAYOUT_PX, ImageStatistics
from ggcam.errors import GGCamError, RunFolderError
from ggcam.utils.atomic import atomic_write
from ggcam.utils.documents import read_json
from ggcam.utils.json_files import write_json
from ggcam.utils.structure import structure

if TYPE_CHECKING:  # it imports torch
    from ggcam.models.feature_distance import FeatureDistance

LAYOUT, INVERTED, FEATURES, VIEW = "layout", "inverted", "features", "view"
"""Marks that are computed from the layout of an image, from the network's features, and from its header."""


@dataclass(frozen=True)
class Mark:
    """A property by which an image may be unlike the training images.

    Attributes:
        name: name of the mark; of the statistics, that of the field in :class:`ImageStatistics`.
        measure: what is measured, in words.
        side: on which side of the training images' values an image is marked.
        scale: maps values to the scale on which they are compared.
        unscale: its inverse.
        min_width: smallest distance between the median and the ends of the typical range, on that scale.
        smallest: smallest possible value.
        largest: largest possible value.
    """

    name: str
    measure: str
    side: Literal["low", "high", "both"] = "both"
    scale: Callable[[float], float] = float
    unscale: Callable[[float], float] = float
    min_width: float = 0.04
    smallest: float = 0.0
    largest: float = math.inf


def _log(value: float) -> float:
    return math.log(max(value, 1e-3))


def _fisher(correlation: float) -> float:
    return math.atanh(min(max(correlation, -0.999), 0.999))


MARKS: Mapping[str, Mark] = {
    mark.name: mark
    for mark in (
        Mark("aspect", "width / height", scale=_log, unscale=math.exp, min_width=0.05),
        Mark("enlargement", "enlarged to fill the frame by", "high", _log, math.exp, 0.1, smallest=1),
        Mark("brightness", "median grey level", largest=1),
        Mark("contrast", "difference of bright and dark grey levels", largest=1),
        Mark(
            "extremes", "share of nearly black and white pixels", "high", math.sqrt, lambda value: value**2, 0.05, 0, 1
        ),
        Mark("detail", "detail", scale=_log, unscale=math.exp, min_width=0.1),
        Mark("colour", "colourfulness", min_width=0.02, largest=1),
        Mark(LAYOUT, "correlation with the mean training image", "low", _fisher, math.tanh, 0.1, -1, 1),
        Mark(FEATURES, "distance of the network's features", "high"),
    )
}
"""Name -> mark. An image that is marked for its layout is called "inverted" if its negative is like the training
images: within the limits, and with at least half of their median correlation."""


@dataclass(frozen=True)
class Limits:
    """Values between which an image is not marked; None for no limit.

    Attributes:
        low: lower limit.
        median: median of the training images.
        high: upper limit.
    """

    low: float | None
    median: float
    high: float | None

    def contain(self, value: float) -> bool:
        """Return whether a value lies within the limits.

        Args:
            value: the value; NaN is unknown and counts as within.
        """
        return not ((self.low is not None and value < self.low) or (self.high is not None and value > self.high))

    def __str__(self) -> str:
        if self.low is None:
            return f"at most {self.high:.3g}"
        return f"at least {self.low:.3g}" if self.high is None else f"{self.low:.3g} to {self.high:.3g}"


@dataclass(frozen=True)
class ValidationMarks:
    """How many validation images are marked: an estimate of the rate of false marks.

    Attributes:
        cases: number of validation images.
        marked: number of those with at least one mark.
        by_mark: mark -> number of images that have it.
    """

    cases: int
    marked: int
    by_mark: Mapping[str, int]


@dataclass(frozen=True)
class Typicality:
    """What the training images of a run look like.

    Attributes:
        cases: number of training images that were described.
        rate: share of images like the training images that the limits were chosen to mark.
        limits: name in `MARKS` -> limits; without the properties that are unknown.
        layout: mean of the training images' standardised layouts, row by row.
        validation: marks on the validation images.
        views: views of the training images, see :mod:`ggcam.data.view_position`; empty if that of any is unknown.
    """

    cases: int
    rate: float
    limits: Mapping[str, Limits]
    layout: tuple[float, ...]
    validation: ValidationMarks
    views: tuple[str, ...] = ()

    def marks(
        self, statistics: ImageStatistics, distance: float | None = None, view: str | None = None
    ) -> dict[str, str]:
        """Find the properties by which an image lies outside of the training images.

        Args:
            statistics: statistics of the image.
            distance: distance of its features; None if it is not known.
            view: its view; None if it is not known.

        Returns:
            Mark -> reason in words; empty for an image like the training images.
        """
        correlation = float(layout_correlation(standardised_layouts([statistics]), np.array(self.layout))[0])
        values = {
            **{name: getattr(statistics, name) for name in self.limits if name in ImageStatistics._fields},
            LAYOUT: correlation,
            FEATURES: math.nan if distance is None else distance,
        }
        found: dict[str, str] = {}
        if view is not None and self.views and view not in self.views:
            found[VIEW] = f"view {view} (training images: {', '.join(self.views)})"
        for name, limits in self.limits.items():
            if limits.contain(values[name]):
                continue
            inverted = name == LAYOUT and -correlation >= limits.median / 2 and limits.contain(-correlation)
            found[INVERTED if inverted else name] = f"{MARKS[name].measure} {values[name]:.3g} (limit: {limits})"
        return found


def standardised_layouts(statistics: Sequence[ImageStatistics]) -> Float[np.ndarray, "n pixels"]:
    """Return the layouts of images with mean 0 and standard deviation 1; all zeros for a uniform image.

    Args:
        statistics: of n images.

    Returns:
        Shape (n, `LAYOUT_PX` ** 2), row by row.
    """
    layouts = np.array([each.layout.ravel() for each in statistics], np.float64).reshape(-1, LAYOUT_PX**2)
    return standardise(layouts)


def standardise(values: Float[np.ndarray, "*n pixels"]) -> Float[np.ndarray, "*n pixels"]:
    """Subtract the mean and divide by the standard deviation.

    Args:
        values: the last axis is standardised.

    Returns:
        The same shape; all zeros where all values are equal.
    """
    centred = values - values.mean(axis=-1, keepdims=True)
    return centred / np.maximum(centred.std(axis=-1, keepdims=True), 1e-9)


def layout_correlation(
    standardised: Float[np.ndarray, "*n pixels"], layout: Float[np.ndarray, " pixels"]
) -> Float[np.ndarray, " *n"]:
    """Correlate layouts with the mean layout of the training images.

    Args:
        standardised: layouts, see :func:`standardised_layouts`.
        layout: the mean of such layouts.

    Returns:
        -1 to 1 for each layout.
    """
    return (standardised * standardise(layout)).mean(axis=-1)


def save_typicality(typicality: Typicality, distance: FeatureDistance, path: Path) -> None:
    """Write what the training images look like: a JSON file, and an archive with the mean and the whitening.

    Args:
        typicality: the description of the images.
        distance: measures the distance of features.
        path: the JSON file; the archive has the suffix `.npz`.
    """
    archive = io.BytesIO()
    np.savez_compressed(archive, mean=distance.mean.numpy(), whitening=distance.whitening.numpy())
    atomic_write(path.with_suffix(".npz"), archive.getvalue())
    write_json(path, asdict(typicality))


def load_typicality(path: Path) -> Typicality | None:
    """Read what the training images look like.

    Args:
        path: JSON file that :func:`save_typicality` wrote.

    Returns:
        The description; None if the file does not exist.

    Raises:
        RunFolderError: the file is damaged.
    """
    if not path.is_file():
        return None
    return parse_typicality(read_json(path, RunFolderError), path)


def parse_typicality(
    values: Mapping[str, object], where: object, error: type[GGCamError] = RunFolderError
) -> Typicality:
    """Read what the training images look like from JSON values.

    Args:
        values: content of the JSON file.
        where: its origin, for messages.
        error: type of the error.

    Returns:
        The description.

    Raises:
        GGCamError: of the type `error`; a key is missing, unknown, or has an invalid value.
    """
    found = structure(values, Typicality, where=where, error=error)
    if unknown := sorted(set(found.limits) - set(MARKS)):
        raise error("unknown marks", where=where, expected=", ".join(MARKS), got=", ".join(unknown))
    if len(found.layout) != LAYOUT_PX**2:
        raise error("invalid layout", where=where, expected=f"{LAYOUT_PX**2} numbers", got=len(found.layout))
    return found
