"""Marked regions (boxes, ellipses, masks) -> maps of how much of each cell they cover."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float
from scipy.special import ndtr

from ggcam.data.case import Region
from ggcam.data.view_config import RegionShape

CELL_PX = 4
"""Side of a cell in pixels of the frame. The grid of a CAM is at most as fine."""

_SUB_ROWS = 16
"""Number of chords by which an ellipse is measured in each row of cells."""


def draw_region(region: Region, frame: tuple[int, int], shape: RegionShape = "filled") -> Float[np.ndarray, "h w"]:
    """Draw a box or an ellipse.

    Args:
        region: the region, in pixels of the frame; parts outside the frame are cut off.
        frame: height and width of the frame in pixels, divisible by `CELL_PX`.
        shape: how the attention spreads.

    Returns:
        Float32 map with cells of `CELL_PX` pixels. "filled": fraction of each cell that the region covers, exact for a
        box. "gaussian": the same total, distributed as a Gaussian about the centre.
    """
    height, width = (side // CELL_PX for side in frame)
    x0, y0, x1, y1 = (value / CELL_PX for value in (region.x0_px, region.y0_px, region.x1_px, region.y1_px))
    if shape == "gaussian":
        area = (x1 - x0) * (y1 - y0) * (np.pi / 4 if region.kind == "ellipse" else 1)
        drawn = area * np.outer(_gaussian(y0, y1, height), _gaussian(x0, x1, width))
    elif region.kind == "ellipse":
        drawn = _ellipse(x0, y0, x1, y1, height, width)
    else:
        drawn = np.outer(_covered(y0, y1, height), _covered(x0, x1, width))
    return drawn.astype(np.float32)


def draw_mask(mask: Bool[np.ndarray, "H W"]) -> Float[np.ndarray, "h w"]:
    """Draw a mask.

    Args:
        mask: mask of the size of the frame.

    Returns:
        Float32 map: fraction of each cell of `CELL_PX` pixels that lies inside.
    """
    height, width = mask.shape
    size = (width // CELL_PX, height // CELL_PX)
    return cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)


def _covered(start: float | np.ndarray, stop: float | np.ndarray, cells: int) -> np.ndarray:
    """Fraction of each of the cells 0-1, 1-2, ... that lies between `start` and `stop`; a row for each pair of them."""
    edge = np.arange(cells)
    first, last = np.asarray(start)[..., None], np.asarray(stop)[..., None]
    return (np.minimum(edge + 1, last) - np.maximum(edge, first)).clip(0, 1)


def _gaussian(start: float, stop: float, cells: int) -> Float[np.ndarray, " cells"]:
    """Part of a Gaussian's mass in each cell; `start` and `stop` are two standard deviations from its mean."""
    edge = np.arange(cells + 1)
    return np.diff(ndtr((edge - (start + stop) / 2) / max((stop - start) / 4, 1e-9)))


def _ellipse(x0: float, y0: float, x1: float, y1: float, height: int, width: int) -> Float[np.ndarray, "h w"]:
    """Fraction of each cell inside an ellipse: exact along x, measured by several chords along y."""
    y = (np.arange(height * _SUB_ROWS) + 0.5) / _SUB_ROWS
    distance = (y - (y0 + y1) / 2) / max((y1 - y0) / 2, 1e-9)
    half = (x1 - x0) / 2 * np.sqrt((1 - distance**2).clip(0))
    centre = (x0 + x1) / 2
    return _covered(centre - half, centre + half, width).reshape(height, _SUB_ROWS, width).mean(axis=1)
