"""Grey levels of images, and which images of a data set look wrong: too few levels, black, white, or inverted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Shaped

MIN_LEVELS = 64
"""Number of different grey values, of 256, below which an image is marked. X-rays of 8 bits have over 100."""

NEARLY_BLACK, NEARLY_WHITE = 24, 231
"""An image is marked if 95% of its pixels are at most as bright as the first, or at least as bright as the second."""

THUMBNAIL_PX = 12
"""Side in pixels of the square that images are reduced to for comparing them with each other."""

MIN_IMAGES, MIN_CORRELATION, INVERTED_CORRELATION = 3, 0.5, -0.2
"""An image is marked as inverted if its correlation with the median image is below the third number. The data set needs
at least the first number of images, and a median correlation of at least the second: photographs, for example, are too
different. The correlations of 590 chest X-rays of three data sets are -0.05 and above, with medians of 0.68 to 0.90.
Histograms do not find inverted X-rays: up to half of the other images are closer to the mirrored median histogram."""

FEW_LEVELS, BLACK, WHITE, INVERTED = "few grey levels", "nearly black", "nearly white", "inverted"
MARKS: Mapping[str, str] = {
    FEW_LEVELS: f"image with under {MIN_LEVELS} grey levels",
    BLACK: "nearly black image",
    WHITE: "nearly white image",
    INVERTED: "image inverted against the others",
}
"""Mark, as it appears among the flags of cases.parquet -> description of the image."""


@dataclass(frozen=True)
class GreyLevels:
    """Summary of the grey levels of an image, at 8 bits.

    Attributes:
        count: number of different values.
        dark: value that 5% of the pixels are below or at.
        bright: value that 95% of the pixels are below or at.
        thumbnail: the image reduced to a square of `THUMBNAIL_PX`, row by row, one byte per pixel.
    """

    count: int
    dark: int
    bright: int
    thumbnail: bytes

    @classmethod
    def from_image(cls, image: Shaped[np.ndarray, "h w"]) -> GreyLevels:
        """Summarise an image.

        Args:
            image: uint8.

        Returns:
            The summary.
        """
        counts = cv2.calcHist([image], [0], None, [256], [0, 256]).ravel()
        share = np.cumsum(counts) / counts.sum()
        small = cv2.resize(image, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
        dark, bright = (int(np.searchsorted(share, at)) for at in (0.05, 0.95))
        return cls(int(np.count_nonzero(counts)), dark, bright, small.tobytes())


def find_marks(images: Mapping[str, GreyLevels]) -> dict[str, tuple[str, ...]]:
    """Find the images of a data set that look wrong.

    Args:
        images: case id -> summary of its image.

    Returns:
        Case id -> its marks, keys of `MARKS`; only cases with a mark.
    """
    inverted = _inverted(list(images.values()))
    found = {}
    for (case_id, levels), is_inverted in zip(images.items(), inverted, strict=True):
        marked = (
            levels.count < MIN_LEVELS,
            levels.bright <= NEARLY_BLACK,
            levels.dark >= NEARLY_WHITE,
            is_inverted,
        )
        if any(marked):
            found[case_id] = tuple(mark for mark, applies in zip(MARKS, marked, strict=True) if applies)
    return found


def _inverted(images: list[GreyLevels]) -> list[bool]:
    """Return which images correlate negatively with the median image, in a data set whose images are alike."""
    if len(images) < MIN_IMAGES:
        return [False] * len(images)
    thumbnails = _standardise(np.array([np.frombuffer(levels.thumbnail, np.uint8) for levels in images], np.float64))
    correlation = (thumbnails * _standardise(np.median(thumbnails, axis=0))).mean(axis=1)
    if np.median(correlation) < MIN_CORRELATION:
        return [False] * len(images)
    return (correlation < INVERTED_CORRELATION).tolist()


def _standardise(values: Float[np.ndarray, "*n pixels"]) -> Float[np.ndarray, "*n pixels"]:
    """Subtract the mean and divide by the standard deviation; all zeros if the values are equal."""
    centred = values - values.mean(axis=-1, keepdims=True)
    return centred / np.maximum(centred.std(axis=-1, keepdims=True), 1e-9)
