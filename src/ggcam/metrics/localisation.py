"""Where a CAM points, compared with where the finding or the organ is, and the chance level of a random cell.

Everything is computed on the CAM's grid of (h, w) cells, laid over an image of (H, W) pixels; `regions_to_mask` and
`mask_to_grid` bring the truth to that grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import maximum_filter

RegionTuple = tuple[str, float, float, float, float]
"""Kind ("box" or "ellipse"), x0, y0, x1, y1 in continuous pixels of the image; an ellipse is inscribed in its box."""

INTERPRETABILITY_NAMES = {"chf": "heart_interp_1", "pneumonia": "lung_interp_1"}
"""Class name in lower case -> the original GG-CAM's name of the metric "its CAM peaks in the right organ"."""


def peak_cell(cam: Float[np.ndarray, "n h w"]) -> Int[np.ndarray, "n 2"]:
    """Return the position of the largest cell of each CAM, the first in reading order among equals.

    Args:
        cam: shape (n, h, w), finite.

    Returns:
        Shape (n, 2), row and column.

    Raises:
        ValueError: a cell is not finite.
    """
    check_finite(cam)
    flat = cam.reshape(len(cam), math.prod(cam.shape[1:])).argmax(axis=1)
    return np.stack(np.unravel_index(flat, cam.shape[1:]), axis=1)


def check_finite(cam: Float[np.ndarray, "n h w"]) -> None:
    """Check that every cell of every map is finite.

    Args:
        cam: shape (n, h, w).

    Raises:
        ValueError: a cell is not finite.
    """
    bad = np.flatnonzero(~np.isfinite(cam).all(axis=(1, 2)))
    if len(bad):
        raise ValueError(f"{len(bad)} of {len(cam)} maps have cells that are not finite; the first is map {bad[0]}")


def pointing_game(
    cam: Float[np.ndarray, "n h w"], truth: Bool[np.ndarray, "n h w"], tolerance_cells: int = 1
) -> Bool[np.ndarray, " n"]:
    """Return whether the peak of each CAM lies on its truth, or close to it (Zhang et al., 2016, section 4.1).

    Args:
        cam: shape (n, h, w), finite.
        truth: shape (n, h, w), cells of the truth.
        tolerance_cells: maximum distance that counts as a hit, along rows, columns and diagonals alike; 1 is a 3x3
            neighbourhood.

    Returns:
        Shape (n,); False for a constant CAM, and for an empty truth.

    Raises:
        ValueError: a CAM has a cell that is not finite.
    """
    row, column = peak_cell(cam).T
    points = cam.max(axis=(1, 2)) > cam.min(axis=(1, 2))
    return _dilate(truth, tolerance_cells)[np.arange(len(cam)), row, column] & points


def chance_level(
    truth: Bool[np.ndarray, "n h w"], tolerance_cells: int = 1, within: Bool[np.ndarray, "n h w"] | None = None
) -> Float[np.ndarray, " n"]:
    """Compute the hit rate of a random peak, uniform over the grid or over some of its cells.

    Args:
        truth: shape (n, h, w), cells of the truth.
        tolerance_cells: maximum distance that counts as a hit.
        within: shape (n, h, w), cells to draw from, such as the lungs; None for the whole grid.

    Returns:
        Shape (n,), 0 to 1; NaN where `within` is empty.
    """
    hit = _dilate(truth, tolerance_cells)
    if within is None:
        return hit.mean(axis=(1, 2))
    cells = within.sum(axis=(1, 2))
    return np.divide((hit & within).sum(axis=(1, 2)), cells, out=np.full(len(cells), np.nan), where=cells > 0)


def peak_distance(
    cam: Float[np.ndarray, "n h w"], truth: Bool[np.ndarray, "n h w"], cell_px: tuple[float, float] = (1.0, 1.0)
) -> Float[np.ndarray, " n"]:
    """Compute the distance from the peak of each CAM to the nearest cell of its truth, centre to centre.

    Args:
        cam: shape (n, h, w), finite.
        truth: shape (n, h, w), cells of the truth.
        cell_px: height and width of a cell in pixels; (1, 1) measures in cells.

    Returns:
        Shape (n,), 0 on the truth; NaN for an empty truth and for a constant CAM.

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
    """Results of the pointing game for a group of cases.

    Attributes:
        case: shape (m,), index of each case whose truth is not empty.
        hit: shape (m,), whether the peak lies on the truth, with tolerance.
        chance: shape (m,), probability that a random cell of the grid is a hit.
        distance_px: shape (m,), distance from the peak to the truth in pixels; NaN for a constant CAM.
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
        """Play the pointing game on all cases with a truth.

        Args:
            cam: shape (n, h, w), finite.
            truth: shape (n, h, w), cells of the truth.
            image_size: height and width of the image in pixels.
            tolerance_cells: maximum distance that counts as a hit.

        Returns:
            The results.

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


def anatomy_pointing(
    cam: Float[np.ndarray, "n h w"],
    labels: Int[np.ndarray, " n"],
    class_names: Sequence[str],
    mediastinum: Bool[np.ndarray, "n h w"],
    lung: Bool[np.ndarray, "n h w"],
    image_size: tuple[int, int],
) -> dict[str, Pointing]:
    """Compute the original GG-CAM's interpretability metrics, each with its chance level and distance.

    `heart_interp_1` is the fraction of all cases whose true class is CHF, whatever was predicted, in which the
    mediastinum mask lies in the 3x3 neighbourhood (smaller at the border of the grid) of the peak of the true class's
    CAM. `lung_interp_1` is the same for pneumonia and the lungs. A large organ is often hit by chance, and a CAM in the
    right organ need not be on the finding: compare with `Pointing.chance` and the pointing game. If every case has its
    mask and no CAM is constant, the mean of `Pointing.hit` equals the original's value; cases without a mask are left
    out here.

    Args:
        cam: shape (n, h, w), CAM of each case's true class.
        labels: shape (n,), class index of each case.
        class_names: name of each class, in upper or lower case.
        mediastinum: shape (n, h, w), mediastinum on the grid.
        lung: shape (n, h, w), both lungs on the grid.
        image_size: height and width of the image in pixels.

    Returns:
        Name of the metric -> results, for each of the two classes in `class_names`.

    Raises:
        ValueError: a CAM has a cell that is not finite.
    """
    masks = {"heart_interp_1": mediastinum, "lung_interp_1": lung}
    metrics = {}
    for label, class_name in enumerate(class_names):
        if name := INTERPRETABILITY_NAMES.get(class_name.lower()):
            has_class = (labels == label)[:, None, None]
            metrics[name] = Pointing.from_cams(cam, masks[name] & has_class, image_size)
    return metrics


def regions_to_mask(
    regions: Sequence[RegionTuple], image_size: tuple[int, int], grid: tuple[int, int]
) -> Bool[np.ndarray, "h w"]:
    """Return the cells of the grid that any of the regions touches.

    The test is exact: a region inside the image touches at least one cell, however small it is.

    Args:
        regions: boxes and ellipses, each (kind, x0, y0, x1, y1) in continuous pixels of the image.
        image_size: height and width of the image in pixels.
        grid: number of rows and columns.

    Returns:
        Shape `grid`.

    Raises:
        ValueError: a kind is neither "box" nor "ellipse", or the corners are in the wrong order.
    """
    mask = np.zeros(grid, dtype=bool)
    for kind, x0, y0, x1, y1 in regions:
        if kind not in ("box", "ellipse") or not (x0 <= x1 and y0 <= y1):
            raise ValueError(
                f"a region must be a box or an ellipse with x0 <= x1 and y0 <= y1, got {(kind, x0, y0, x1, y1)}"
            )
        # Distance from the region's centre to the nearest point of each row and column of cells, in half-axes.
        down, across = _nearest(y0, y1, image_size[0], grid[0])[:, None], _nearest(x0, x1, image_size[1], grid[1])
        mask |= np.maximum(down, across) < 1 if kind == "box" else down**2 + across**2 < 1
    return mask


def mask_to_grid(
    mask: Bool[np.ndarray, "H W"], grid: tuple[int, int], least_share: float = 0.5
) -> Bool[np.ndarray, "h w"]:
    """Return the cells of the grid that a mask covers.

    Args:
        mask: shape (H, W), in pixels of the image.
        grid: number of rows and columns.
        least_share: minimum fraction of a cell's area that the mask must cover; 0 means any part of it.

    Returns:
        Shape `grid`.
    """
    height, width = mask.shape
    share = _cover(height, grid[0]) @ mask.astype(np.float64) @ _cover(width, grid[1]).T
    # Fractions such as thirds and sevenths are off by rounding.
    return (share >= least_share - 1e-9) & (share > 1e-9)


def _dilate(mask: Bool[np.ndarray, "n h w"], cells: int) -> Bool[np.ndarray, "n h w"]:
    """Dilate the mask by a number of rows and columns."""
    size = 2 * cells + 1
    return maximum_filter(mask, size=(1, size, size), mode="constant", cval=0)


def _nearest(low_px: float, high_px: float, image_size: int, cells: int) -> Float[np.ndarray, " cells"]:
    """Return the distance from the centre of [low, high] to each cell of one axis, in half-lengths."""
    edges = np.linspace(0, image_size, cells + 1)
    centre, half = (low_px + high_px) / 2, max((high_px - low_px) / 2, 1e-6)
    return np.abs(np.clip(centre, edges[:-1], edges[1:]) - centre) / half


def _cover(pixels: int, cells: int) -> Float[np.ndarray, "cells pixels"]:
    """Return the fraction of each cell's length that each pixel covers; rows sum to 1."""
    edges = np.linspace(0, pixels, cells + 1)
    pixel = np.arange(pixels)
    length = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.maximum(length, 0) * (cells / pixels)
