"""ROC and precision-recall curves with pointwise confidence bands, on a fixed grid for plotting.

For the points of a curve alone, use `sklearn.metrics.roc_curve` and `precision_recall_curve`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped

from ggcam.metrics.bootstrap_statistics import WeightedCurve
from ggcam.metrics.intervals import Interval, bootstrap_draws
from ggcam.metrics.threshold_statistics import weighted_precision_recall, weighted_roc

GRID = np.linspace(0, 1, 101)
"""Positions at which curves are evaluated: 0, 0.01, ..., 1."""


@dataclass(frozen=True, eq=False)
class CurveBand:
    """A curve with its pointwise interval for other patients.

    Attributes:
        x: shape (p,), false positive rate (ROC) or recall (precision-recall), from 0 to 1.
        y: shape (p,), sensitivity or precision; NaN where undefined.
        low: shape (p,), lower end of the interval.
        high: shape (p,), upper end of the interval.
    """

    x: Float[np.ndarray, " p"]
    y: Float[np.ndarray, " p"]
    low: Float[np.ndarray, " p"]
    high: Float[np.ndarray, " p"]


def roc_band(
    scores: Float[np.ndarray, " n"],
    positive: Bool[np.ndarray, " n"],
    patients: Shaped[np.ndarray, " n"],
    *,
    known: Bool[np.ndarray, " n"] | None = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> CurveBand:
    """Compute the ROC curve as a staircase, without interpolation: the best sensitivity at each false positive rate.

    Args:
        scores: shape (n,), score of each case for the class.
        positive: shape (n,), whether each case belongs to the class.
        patients: shape (n,), patient of each case.
        known: shape (n,), whether the label of each case is known; None if all are. Unknown cases are resampled with
            their patients, but left out of the curve.
        resamples: number of bootstrap resamples of patients.
        level: level of the interval, 0 to 1.
        seed: seed of the resamples, or a generator.

    Returns:
        The curve and its band.

    Raises:
        ValueError: there are no cases, or `level` or `resamples` is out of range.
    """
    known = np.ones(len(patients), dtype=bool) if known is None else known
    return _band(weighted_roc(scores[known], positive[known], GRID), known, patients, resamples, level, seed)


def precision_recall_band(
    scores: Float[np.ndarray, " n"],
    positive: Bool[np.ndarray, " n"],
    patients: Shaped[np.ndarray, " n"],
    *,
    known: Bool[np.ndarray, " n"] | None = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> CurveBand:
    """Compute the precision at the highest threshold that reaches each recall; by chance it is the prevalence.

    Args:
        scores: shape (n,), score of each case for the class.
        positive: shape (n,), whether each case belongs to the class.
        patients: shape (n,), patient of each case.
        known: shape (n,), whether the label of each case is known; None if all are.
        resamples: number of bootstrap resamples of patients.
        level: level of the interval, 0 to 1.
        seed: seed of the resamples, or a generator.

    Returns:
        The curve and its band.

    Raises:
        ValueError: there are no cases, or `level` or `resamples` is out of range.
    """
    known = np.ones(len(patients), dtype=bool) if known is None else known
    curve = weighted_precision_recall(scores[known], positive[known], GRID)
    return _band(curve, known, patients, resamples, level, seed)


def _band(
    curve: WeightedCurve,
    known: Bool[np.ndarray, " n"],
    patients: Shaped[np.ndarray, " n"],
    resamples: int,
    level: float,
    seed: int | np.random.Generator,
) -> CurveBand:
    def of_all_cases(weights: Float[np.ndarray, "n r"]) -> Float[np.ndarray, "r p"]:
        return curve(weights[known])

    values = of_all_cases(np.ones((len(patients), 1)))[0]
    draws = bootstrap_draws({"curve": of_all_cases}, patients, resamples=resamples, seed=seed)["curve"]
    by_point = draws.reshape(-1, len(GRID)).T
    ends = [Interval.from_draws(float(value), drawn, level) for value, drawn in zip(values, by_point, strict=True)]
    return CurveBand(GRID, values, np.array([each.low for each in ends]), np.array([each.high for each in ends]))
