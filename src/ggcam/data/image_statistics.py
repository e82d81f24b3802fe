"""What an image looks like, in a few numbers: its shape, resolution, grey levels, colours, detail and layout."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Shaped, UInt8

from ggcam.data.affine import Affine

SIDE_PX = 256
"""Images are reduced to this longer side first, so that the statistics of large and small images are comparable."""

LAYOUT_PX = 16
"""Side in pixels of the square that shows the layout of an image: where it is bright, and where it is dark."""

NEARLY_BLACK, NEARLY_WHITE = 8, 247
"""Grey values, of 0 to 255, up to which a pixel is nearly black, and from which it is nearly white."""


class ImageStatistics(NamedTuple):
    """Statistics of one image, without the margins that framing adds.

    Attributes:
        aspect: width / height of the raw image.
        enlargement: factor by which the image was enlarged to fill the frame; 1 if it was reduced.
        brightness: median grey level, 0 (black) to 1 (white).
        contrast: difference of the 95% and the 5% quantile of the grey levels, 0 to 1.
        extremes: share of nearly black and nearly white pixels, 0 to 1.
        detail: mean difference of neighbouring pixels / standard deviation of all pixels; 0 for a uniform image.
        colour: see :func:`colourfulness`; NaN where unknown.
        layout: the image reduced to a square of `LAYOUT_PX`, in grey.
    """

    aspect: float
    enlargement: float
    brightness: float
    contrast: float
    extremes: float
    detail: float
    colour: float
    layout: UInt8[np.ndarray, "s s"]


def image_statistics(
    framed: UInt8[np.ndarray, "frame_h frame_w *rgb"],
    raw_size: tuple[int, int],
    affine: Affine,
    colour: float = np.nan,
) -> ImageStatistics:
    """Compute the statistics of an image in its frame.

    Args:
        framed: the image in the frame, grey or RGB.
        raw_size: height and width of the raw image in pixels.
        affine: map from the raw image to the frame.
        colour: colourfulness of the raw image, where the frame is grey; otherwise that of `framed` is computed.

    Returns:
        The statistics.

    Example:
        >>> image = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (32, 1))
        >>> found = image_statistics(image, raw_size=(32, 64), affine=Affine())
        >>> found.aspect, found.enlargement, round(found.brightness, 2)
        (2.0, 1.0, 0.49)
    """
    pixels = reduce_image(_inside(framed, raw_size, affine))
    if pixels.ndim == 3:
        colour = colourfulness(pixels)
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    dark, median, bright = np.percentile(pixels, (5, 50, 95)) / 255
    values = pixels.astype(np.float32)
    steps = [float(np.abs(np.diff(values, axis=axis)).mean()) for axis in (0, 1) if pixels.shape[axis] > 1]
    spread = float(values.std())
    return ImageStatistics(
        aspect=raw_size[1] / raw_size[0],
        enlargement=max(1.0, abs(affine.scale_x)),
        brightness=float(median),
        contrast=float(bright - dark),
        extremes=float(np.mean((pixels <= NEARLY_BLACK) | (pixels >= NEARLY_WHITE))),
        detail=float(np.mean(steps)) / spread if steps and spread > 0 else 0.0,
        colour=float(colour),
        layout=cv2.resize(pixels, (LAYOUT_PX, LAYOUT_PX), interpolation=cv2.INTER_AREA),
    )


def colourfulness(pixels: UInt8[np.ndarray, "h w *rgb"]) -> float:
    """Compute how colourful an image is: the mean difference between the largest and the smallest of R, G and B.

    Args:
        pixels: grey or RGB.

    Returns:
        0 (grey) to 1.

    Example:
        >>> colourfulness(np.full((4, 4, 3), (255, 0, 0), np.uint8)), colourfulness(np.zeros((4, 4), np.uint8))
        (1.0, 0.0)
    """
    if pixels.ndim == 2:
        return 0.0
    small = reduce_image(pixels).astype(np.float32)
    return float((small.max(axis=2) - small.min(axis=2)).mean() / 255)


def reduce_image(pixels: Shaped[np.ndarray, "h w *rgb"]) -> Shaped[np.ndarray, "small_h small_w *rgb"]:
    """Reduce an image to a longer side of `SIDE_PX` by area averaging; a smaller image stays as it is.

    Args:
        pixels: grey or RGB.

    Returns:
        Of the same type and channels.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, SIDE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return pixels if scale == 1 else cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _inside(
    framed: UInt8[np.ndarray, "frame_h frame_w *rgb"], raw_size: tuple[int, int], affine: Affine
) -> UInt8[np.ndarray, "h w *rgb"]:
    """Cut off the margins of a frame, which no pixel of the raw image covers."""
    down, across = affine.apply_y(np.array([0, raw_size[0]])), affine.apply_x(np.array([0, raw_size[1]]))
    (top, bottom), (left, right) = (
        np.clip(np.rint(np.sort(ends)).astype(int), 0, side)
        for ends, side in zip((down, across), framed.shape[:2], strict=True)
    )
    inside = framed[top:bottom, left:right]
    return inside if inside.size else framed
