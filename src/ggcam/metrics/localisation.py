"""Where a CAM points, against where the finding or the organ is, and how often a random cell would do as well.

Everything happens on the CAM's grid of (h, w) cells laid over a frame of (H, W) pixels; truth comes to the grid by
`regions_to_mask` or `mask_to_grid`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import maximum_filter

RegionTuple = tuple[str, float, float, float, float]
"""Kind ("box" or "ellipse"), x0, y0, x1, y1 in continuous pixels of the frame; an ellipse is inscribed in its box."""

INTERPRETABILITY_NAMES = {"chf": "heart_interp_1", "pneumonia": "lung_interp_1"}
"""Class name, lower case -> the original GG-CAM's name for the metric "its CAM peaks in the right organ"."""


def peak_cell(cam: Float[np.ndarray, "n h w"]) -> Int[np.ndarray, "n 2"]:
    """Row and column of each CAM's largest cell, shape (n, 2); the first in reading order among equals.

    Raises:
        ValueError: a cell is not finite.
    """
    check_finite(cam)
    flat = cam.reshape(len(cam), math.prod(cam.shape[1:])).argmax(axis=1)
    return np.stack(np.unravel_index(flat, cam.shape[1:]), axis=1)


def check_finite(cam: Float[np.ndarray, "n h w"]) -> None:
    """Raise ValueError unless every cell of every CAM, or other map, is finite."""
    bad = np.flatnonzero(~np.isfinite(cam).all(axis=(1, 2)))
    if len(bad):
        raise ValueError(f"{len(bad)} of {len(cam)} maps have cells that are not finite; the first is map {bad[0]}")


def pointing_game(
    cam: Float[np.ndarray, "n h w"], truth: Bool[np.ndarray, "n h w"], tolerance_cells: int = 1
) -> Bool[np.ndarray, " n"]:
    """Whether each CAM's peak lies on its truth, or within some cells of it (Zhang et al., 2016, section 4.1).

    A constant CAM points nowhere, and nothing can be pointed at in an empty truth: both are misses.

    Args:
        cam: shape (n, h, w), finite.
        truth: shape (n, h, w).
        tolerance_cells: how many cells off still counts, along rows, columns and diagonals alike: 1 is a
            neighbourhood of 3x3.

    Raises:
        ValueError: a CAM has a cell that is not finite.
    """
    row, column = peak_cell(cam).T
    points = cam.max(axis=(1, 2)) > cam.min(axis=(1, 2))
    return _grown(truth, tolerance_cells)[np.arange(len(cam)), row, column] & points


def chance_level(
    truth: Bool[np.ndarray, "n h w"], tolerance_cells: int = 1, within: Bool[np.ndarray, "n h w"] | None = None
) -> Float[np.ndarray, " n"]:
    """Hit rate of a peak drawn uniformly from the grid, or from the cells `within`, such as the lungs; shape (n,).

    NaN where `within` is empty.
    """
    hit = _grown(truth, tolerance_cells)
    if within is None:
        return hit.mean(axis=(1, 2))
    cells = within.sum(axis=(1, 2))
    return np.divide((hit & within).sum(axis=(1, 2)), cells, out=np.full(len(cells), np.nan), where=cells > 0)


def peak_distance(
    cam: Float[np.ndarray, "n h w"], truth: Bool[np.ndarray, "n h w"], cell_px: tuple[float, float] = (1.0, 1.0)
) -> Float[np.ndarray, " n"]:
    """Distance from each CAM's peak to the nearest cell of its truth, centre to centre; 0 on it, shape (n,).

    NaN for an empty truth and for a constant CAM, which points nowhere.

    Args:
        cam: shape (n, h, w), finite.
        truth: shape (n, h, w).
        cell_px: height and width of a cell in pixels; (1, 1) counts in cells.

    Raises:
        ValueError: a CAM has a cell that is not finite.
    """
    distance = np.full(len(cam), np.nan)
    for i, peak in enumerate(peak_cell(cam)):
        cells = np.argwhere(truth[i])
        if len(cells) and cam[i].max() > cam[i].min():
            distance[i] = np.linalg.norm((cells - peak) * cell_px, axis=1).min()
    return distance


@dataclass(frozen=True, eq=False)
class Pointing:
    """How a group of cases points at its truth, a value a case.

    Attributes:
        case: shape (m,), index of each case among those handed in: the ones whose truth is not empty.
        hit: shape (m,), whether the peak lies on the truth, with tolerance.
        chance: shape (m,), how likely a random cell of the grid would.
        distance_px: shape (m,), from the peak to the truth; NaN for a constant CAM.
    """

    case: Int[np.ndarray, " m"]
    hit: Bool[np.ndarray, " m"]
    chance: Float[np.ndarray, " m"]
    distance_px: Float[np.ndarray, " m"]

    @classmethod
    def from_cams(
        cls,
        cam: Float[np.ndarray, "n h w"],
        truth: Bool[np.ndarray, "n h w"],
        image_size: tuple[int, int],
        tolerance_cells: int = 1,
    ) -> Pointing:
        """Judge the cases that have any truth; `image_size` is the height and width of the frame under the grid.

        Raises:
            ValueError: a CAM with a truth has a cell that is not finite.
        """
        case = np.flatnonzero(truth.any(axis=(1, 2)))
        cam, truth = cam[case], truth[case]
        cell_px = (image_size[0] / cam.shape[1], image_size[1] / cam.shape[2])
        return cls(
            case,
            pointing_game(cam, truth, tolerance_cells),
            chance_level(truth, tolerance_cells),
            peak_distance(cam, truth, cell_px),
        )

    @cached_property
    def hit_rate(self) -> float:
        """Share of hits, 0 to 1; NaN without cases."""
        return float(self.hit.mean()) if len(self.hit) else float("nan")

    @cached_property
    def chance_rate(self) -> float:
        """Hit rate to expect of random cells, 0 to 1; NaN without cases."""
        return float(self.chance.mean()) if len(self.chance) else float("nan")

    @cached_property
    def mean_distance_px(self) -> float:
        """Mean distance over the CAMs that point anywhere; NaN when none does."""
        known = self.distance_px[~np.isnan(self.distance_px)]
        return float(known.mean()) if len(known) else float("nan")


def anatomy_pointing(
    cam: Float[np.ndarray, "n h w"],
    labels: Int[np.ndarray, " n"],
    class_names: Sequence[str],
    mediastinum: Bool[np.ndarray, "n h w"],
    lung: Bool[np.ndarray, "n h w"],
    image_size: tuple[int, int],
) -> dict[str, Pointing]:
    """The original GG-CAM's interpretability metrics, each with its chance level and distance beside it.

    `heart_interp_1`: among all cases whose true class is CHF, whatever was predicted, the share in which the peak of
    the true class's CAM has the mediastinum mask in its 3x3 neighbourhood (less at the border of the grid).
    `lung_interp_1`: the same for pneumonia and the lungs. A large organ is hit often by chance alone, and a CAM in
    the right organ need not be on the finding: read them beside `Pointing.chance_rate` and the pointing game.
    Where every case has its mask, and no CAM is constant, `Pointing.hit_rate` is the original's number; cases
    without the mask are left out here.

    Args:
        cam: shape (n, h, w), each case's CAM of its true class.
        labels: shape (n,).
        class_names: name of each label; upper and lower case are one.
        mediastinum: shape (n, h, w), mediastinum on the grid.
        lung: shape (n, h, w), both lungs on the grid.
        image_size: height and width of the frame.

    Returns:
        A metric for each of the two classes among `class_names`; `Pointing.case` are indices into the n cases.

    Raises:
        ValueError: a CAM has a cell that is not finite.
    """
    masks = {"heart_interp_1": mediastinum, "lung_interp_1": lung}
    metrics = {}
    for label, class_name in enumerate(class_names):
        if name := INTERPRETABILITY_NAMES.get(class_name.lower()):
            of_class = (labels == label)[:, None, None]
            metrics[name] = Pointing.from_cams(cam, masks[name] & of_class, image_size)
    return metrics


def regions_to_mask(
    regions: Sequence[RegionTuple], image_size: tuple[int, int], grid: tuple[int, int]
) -> Bool[np.ndarray, "h w"]:
    """Cells of the grid that any of the regions touches, shape `grid`.

    The test is exact, so a region on the frame has a cell however small it is; one off the frame has none.

    Args:
        regions: boxes and ellipses, each (kind, x0, y0, x1, y1) in continuous pixels of the frame.
        image_size: height and width of the frame.
        grid: rows and columns of cells.

    Raises:
        ValueError: a kind other than "box" and "ellipse", or ends in the wrong order.
    """
    mask = np.zeros(grid, dtype=bool)
    for kind, x0, y0, x1, y1 in regions:
        if kind not in ("box", "ellipse") or not (x0 <= x1 and y0 <= y1):
            raise ValueError(
                f"a region is a box or an ellipse with x0 <= x1 and y0 <= y1, got {(kind, x0, y0, x1, y1)}"
            )
        # From the region's centre to the nearest point of each row and column of cells, in half-axes.
        down, across = _nearest(y0, y1, image_size[0], grid[0])[:, None], _nearest(x0, x1, image_size[1], grid[1])
        mask |= np.maximum(down, across) < 1 if kind == "box" else down**2 + across**2 < 1
    return mask


def mask_to_grid(
    mask: Bool[np.ndarray, "H W"], grid: tuple[int, int], least_share: float = 0.5
) -> Bool[np.ndarray, "h w"]:
    """Cells of which the mask covers at least a share of the area, shape `grid`; a share of 0 means any bit of it."""
    height, width = mask.shape
    share = _cover(height, grid[0]) @ mask.astype(np.float64) @ _cover(width, grid[1]).T
    # Shares of thirds and sevenths are off by rounding.
    return (share >= least_share - 1e-9) & (share > 1e-9)


def _grown(mask: Bool[np.ndarray, "n h w"], cells: int) -> Bool[np.ndarray, "n h w"]:
    """The mask with every cell within so many rows and columns of it."""
    size = 2 * cells + 1
    return maximum_filter(mask, size=(1, size, size), mode="constant", cval=0)


def _nearest(low_px: float, high_px: float, image_size: int, cells: int) -> Float[np.ndarray, " cells"]:
    """Per cell of one axis: distance from the middle of [low, high] to the cell, in halves of its length."""
    edges = np.linspace(0, image_size, cells + 1)
    centre, half = (low_px + high_px) / 2, max((high_px - low_px) / 2, 1e-6)
    return np.abs(np.clip(centre, edges[:-1], edges[1:]) - centre) / half


def _cover(pixels: int, cells: int) -> Float[np.ndarray, "cells pixels"]:
    """Share of each cell's length that each pixel takes up; rows sum to 1."""
    edges = np.linspace(0, pixels, cells + 1)
    pixel = np.arange(pixels)
    length = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.maximum(length, 0) * (cells / pixels)
