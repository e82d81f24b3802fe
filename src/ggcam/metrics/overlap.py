"""How much of a CAM lies on its truth, cell by cell, where `localisation` asks about its peak alone.

Every metric is a value per case, NaN where the truth is empty: `weighted.weighted_mean` leaves those out.
`shuffled_chance` tells what the same values in random cells would score.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

from ggcam.metrics.localisation import check_finite
from ggcam.metrics.ranking import tie_ends

THRESHOLDS = np.linspace(0.05, 0.95, 19)
"""Shares of the way from a CAM's minimum to its maximum."""

SIZES = ("small", "medium", "large")
SIZE_EDGES = (0.015, 0.06)
"""Shares of the image's area up to which a finding is small, and medium."""

OverlapMetric = Callable[[Float[np.ndarray, "n h w"], Bool[np.ndarray, "n h w"]], Float[np.ndarray, " n"]]


def energy_inside(cam: Float[np.ndarray, "n h w"], truth: Bool[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    """Share of a CAM's positive part, the evidence for its class, that lies on the truth (Wang et al., 2020, eq. 6).

    Shape (n,), 0 to 1. By chance it is the truth's share of the cells. 0 for a CAM without a positive cell: no
    evidence anywhere is none on the truth. With a shortcut's marker as the truth, less is better.

    Raises:
        ValueError: a CAM has a cell that is not finite.
    """
    check_finite(cam)
    evidence = np.maximum(cam, 0)
    inside, total = (evidence * truth).sum(axis=(1, 2)), evidence.sum(axis=(1, 2))
    share = np.divide(inside, total, out=np.zeros(len(cam)), where=total > 0)
    return _where_any(truth, share)


def iou_curve(
    cam: Float[np.ndarray, "n h w"],
    truth: Bool[np.ndarray, "n h w"],
    thresholds: Float[np.ndarray, " t"] = THRESHOLDS,
) -> Float[np.ndarray, "n t"]:
    """Intersection over union of the truth and the cells at or above each threshold, shape (n, t), 0 to 1.

    Thresholds, in rising order, are shares of the way from the CAM's minimum to its maximum, so a positive affine
    change of it changes nothing. A constant CAM has nothing above its minimum and scores 0. NaN for an empty truth.

    Raises:
        ValueError: a CAM has a cell that is not finite.
    """
    check_finite(cam)
    low, high = cam.min(axis=(1, 2), keepdims=True), cam.max(axis=(1, 2), keepdims=True)
    # -1, below every threshold, for a constant CAM.
    height = np.divide(cam - low, high - low, out=np.full(cam.shape, -1.0), where=high > low)
    # How many thresholds each cell reaches; so many cells, and so many of the truth, reach each.
    reached = np.searchsorted(thresholds, height, side="right")
    chosen, both = (_reaching(reached, of, len(thresholds)) for of in (np.ones_like(truth), truth))
    either = chosen + truth.sum(axis=(1, 2))[:, None] - both
    iou = both / np.maximum(either, 1)
    iou[~truth.any(axis=(1, 2))] = np.nan
    return iou


def mean_iou(cam: Float[np.ndarray, "n h w"], truth: Bool[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    """Mean of `iou_curve` over its thresholds, shape (n,): no threshold has to be chosen."""
    return iou_curve(cam, truth).mean(axis=1)


def best_iou(cam: Float[np.ndarray, "n h w"], truth: Bool[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    """Highest of `iou_curve`, shape (n,): what the best threshold for each case would reach, which nobody knows."""
    return iou_curve(cam, truth).max(axis=1)


def cell_average_precision(
    cam: Float[np.ndarray, "n h w"], truth: Bool[np.ndarray, "n h w"]
) -> Float[np.ndarray, " n"]:
    """Average precision of the CAM's cells as a detector of the truth's, shape (n,), 0 to 1 (Choe et al., 2020).

    By chance it is about the truth's share of the cells, which is also what a constant CAM scores.

    Raises:
        ValueError: a CAM has a cell that is not finite.
    """
    check_finite(cam)
    cells = math.prod(cam.shape[1:])
    flat = cam.reshape(len(cam), cells)
    order = np.argsort(-flat, axis=1, kind="stable")
    _, last = tie_ends(np.take_along_axis(flat, order, axis=1))
    found = np.take_along_axis(truth.reshape(len(cam), cells), order, axis=1)
    # A threshold takes all cells of a value or none: precision where the run of equal values ends.
    precision = np.take_along_axis(np.cumsum(found, axis=1), last, axis=1) / (last + 1)
    return _where_any(truth, (precision * found).sum(axis=1) / np.maximum(found.sum(axis=1), 1))


def shuffled_chance(
    metric: OverlapMetric,
    cam: Float[np.ndarray, "n h w"],
    truth: Bool[np.ndarray, "n h w"],
    shuffles: int = 20,
    seed: int | np.random.Generator = 0,
) -> Float[np.ndarray, " n"]:
    """The metric of each CAM with its cells in random order, the mean over `shuffles` of them; shape (n,)."""
    rng = np.random.default_rng(seed)
    flat = cam.reshape(len(cam), math.prod(cam.shape[1:]))
    total = np.zeros(len(cam))
    for _ in range(shuffles):
        total += metric(rng.permuted(flat, axis=1).reshape(cam.shape), truth)
    return total / shuffles


def size_group(area_share: Float[np.ndarray, " n"], edges: tuple[float, float] = SIZE_EDGES) -> Int[np.ndarray, " n"]:
    """Which of `SIZES` each finding is, by its share of the image's area; shape (n,), -1 for no finding (0 or NaN)."""
    return np.where(area_share > 0, np.searchsorted(edges, np.nan_to_num(area_share), side="left"), -1)


def _where_any(truth: Bool[np.ndarray, "n h w"], values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The values, NaN where the truth is empty."""
    return np.where(truth.any(axis=(1, 2)), values, np.nan)


def _reaching(
    reached: Int[np.ndarray, "n h w"], counted: Bool[np.ndarray, "n h w"], thresholds: int
) -> Int[np.ndarray, "n t"]:
    """Of the counted cells of each case, how many reach the first threshold, how many the second, and so on."""
    row = np.arange(len(reached))[:, None, None] * (thresholds + 1)
    counts = np.bincount((row + reached)[counted], minlength=len(reached) * (thresholds + 1))
    return counts.reshape(len(reached), thresholds + 1)[:, :0:-1].cumsum(axis=1)[:, ::-1]
