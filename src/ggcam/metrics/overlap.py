"""How much of a CAM lies on its truth, cell by cell; `localisation` only considers its peak.

Every metric has one value per case, NaN where the truth is empty, which `bootstrap_statistics.weighted_mean` leaves
out. `shuffled_chance` computes what the same values in random cells would score.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

from ggcam.metrics.localisation import check_finite
from ggcam.metrics.ranking import tie_ends

THRESHOLDS = np.linspace(0.05, 0.95, 19)
"""Fractions of the range from a CAM's minimum to its maximum."""

SIZES = ("small", "medium", "large")
SIZE_EDGES = (0.015, 0.06)
"""Upper limits of small and of medium findings, as fractions of the image's area."""

OverlapMetric = Callable[[Float[np.ndarray, "n h w"], Bool[np.ndarray, "n h w"]], Float[np.ndarray, " n"]]
"""Function from CAMs and truths to a value per case."""


def energy_inside(cam: Float[np.ndarray, "n h w"], truth: Bool[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    """Compute the fraction of a CAM's positive part, the evidence for its class, on the truth.

    Wang et al. (2020), eq. 6.

    By chance it is the truth's fraction of the cells. With a shortcut's marker as the truth, lower is better.

    Args:
        cam: shape (n, h, w), finite.
        truth: shape (n, h, w), cells of the truth.

    Returns:
        Shape (n,), 0 to 1; 0 for a CAM without positive cells; NaN for an empty truth.

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
    """Compute the intersection over union of the truth and the cells at or above each threshold.

    Args:
        cam: shape (n, h, w), finite.
        truth: shape (n, h, w), cells of the truth.
        thresholds: shape (t,), rising, as fractions of the range from the minimum to the maximum of each CAM, so that a
            positive affine change of the CAM has no effect.

    Returns:
        Shape (n, t), 0 to 1; 0 for a constant CAM; NaN for an empty truth.

    Raises:
        ValueError: a CAM has a cell that is not finite.
    """
    check_finite(cam)
    low, high = cam.min(axis=(1, 2), keepdims=True), cam.max(axis=(1, 2), keepdims=True)
    # For a constant CAM, -1, which is below every threshold.
    height = np.divide(cam - low, high - low, out=np.full(cam.shape, -1.0), where=high > low)
    # Number of thresholds that each cell reaches; then number of cells, and of cells of the truth, above each.
    reached = np.searchsorted(thresholds, height, side="right")
    chosen, both = (_reaching(reached, cells, len(thresholds)) for cells in (np.ones_like(truth), truth))
    either = chosen + truth.sum(axis=(1, 2))[:, None] - both
    iou = both / np.maximum(either, 1)
    iou[~truth.any(axis=(1, 2))] = np.nan
    return iou


def mean_iou(cam: Float[np.ndarray, "n h w"], truth: Bool[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    """Compute the mean of `iou_curve` over its thresholds: no threshold has to be chosen.

    Args:
        cam: shape (n, h, w), finite.
        truth: shape (n, h, w), cells of the truth.

    Returns:
        Shape (n,), 0 to 1; NaN for an empty truth.

    Raises:
        ValueError: a CAM has a cell that is not finite.
    """
    return iou_curve(cam, truth).mean(axis=1)


def best_iou(cam: Float[np.ndarray, "n h w"], truth: Bool[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    """Compute the maximum of `iou_curve`: the IoU at the best threshold for each case, which is unknown in practice.

    Args:
        cam: shape (n, h, w), finite.
        truth: shape (n, h, w), cells of the truth.

    Returns:
        Shape (n,), 0 to 1; NaN for an empty truth.

    Raises:
        ValueError: a CAM has a cell that is not finite.
    """
    return iou_curve(cam, truth).max(axis=1)


def cell_average_precision(
    cam: Float[np.ndarray, "n h w"], truth: Bool[np.ndarray, "n h w"]
) -> Float[np.ndarray, " n"]:
    """Compute the average precision of the CAM's cells as a detector of the truth's (Choe et al., 2020).

    It is `threshold_statistics.weighted_auprc` over the cells of each map, for all maps at once. By chance, and for a
    constant CAM, it is about the truth's fraction of the cells.

    Args:
        cam: shape (n, h, w), finite.
        truth: shape (n, h, w), cells of the truth.

    Returns:
        Shape (n,), 0 to 1; NaN for an empty truth.

    Raises:
        ValueError: a CAM has a cell that is not finite.
    """
    check_finite(cam)
    cells = math.prod(cam.shape[1:])
    flat = cam.reshape(len(cam), cells)
    order = np.argsort(-flat, axis=1, kind="stable")
    _, last = tie_ends(np.take_along_axis(flat, order, axis=1))
    found = np.take_along_axis(truth.reshape(len(cam), cells), order, axis=1)
    # A threshold takes all cells of a value or none, so the precision is that at the end of a run of equal values.
    precision = np.take_along_axis(np.cumsum(found, axis=1), last, axis=1) / (last + 1)
    return _where_any(truth, (precision * found).sum(axis=1) / np.maximum(found.sum(axis=1), 1))


def shuffled_chance(
    metric: OverlapMetric,
    cam: Float[np.ndarray, "n h w"],
    truth: Bool[np.ndarray, "n h w"],
    shuffles: int = 20,
    seed: int | np.random.Generator = 0,
) -> Float[np.ndarray, " n"]:
    """Compute a metric of each CAM with its cells in random order, averaged over several orders.

    Args:
        metric: one of the metrics above.
        cam: shape (n, h, w), finite.
        truth: shape (n, h, w), cells of the truth.
        shuffles: number of random orders.
        seed: seed of the orders, or a generator.

    Returns:
        Shape (n,), as the metric.
    """
    rng = np.random.default_rng(seed)
    flat = cam.reshape(len(cam), math.prod(cam.shape[1:]))
    total = np.zeros(len(cam))
    for _ in range(shuffles):
        total += metric(rng.permuted(flat, axis=1).reshape(cam.shape), truth)
    return total / shuffles


def size_group(area_share: Float[np.ndarray, " n"], edges: tuple[float, float] = SIZE_EDGES) -> Int[np.ndarray, " n"]:
    """Return the index into `SIZES` of each finding.

    Args:
        area_share: shape (n,), fraction of the image's area that the finding covers; 0 or NaN without a finding.
        edges: upper limits of small and of medium findings.

    Returns:
        Shape (n,), -1 without a finding.
    """
    return np.where(area_share > 0, np.searchsorted(edges, np.nan_to_num(area_share), side="left"), -1)


def _where_any(truth: Bool[np.ndarray, "n h w"], values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return the values, NaN where the truth is empty."""
    return np.where(truth.any(axis=(1, 2)), values, np.nan)


def _reaching(
    reached: Int[np.ndarray, "n h w"], counted: Bool[np.ndarray, "n h w"], thresholds: int
) -> Int[np.ndarray, "n t"]:
    """Return how many of the counted cells of each case reach each threshold."""
    row = np.arange(len(reached))[:, None, None] * (thresholds + 1)
    counts = np.bincount((row + reached)[counted], minlength=len(reached) * (thresholds + 1))
    return counts.reshape(len(reached), thresholds + 1)[:, :0:-1].cumsum(axis=1)[:, ::-1]
