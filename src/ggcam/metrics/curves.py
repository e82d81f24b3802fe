"""ROC and precision-recall curves with a band, on a grid of their own that metrics can draw.

Of the points of a curve alone, `sklearn.metrics.roc_curve` and `precision_recall_curve` tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped

from ggcam.metrics.bootstrap_statistics import WeightedCurve, weighted_precision_recall, weighted_roc
from ggcam.metrics.intervals import Interval, bootstrap_draws

GRID = np.linspace(0, 1, 101)
"""Where a curve is told: at 0, 0.01, ..., 1."""


@dataclass(frozen=True, eq=False)
class CurveBand:
    """A curve and, point by point, where it would lie for other patients.

    Attributes:
        x: shape (p,), false positive rate (ROC) or recall (precision-recall), from 0 to 1.
        y: shape (p,), sensitivity, or precision; NaN when undefined.
        low: shape (p,), lower end of the pointwise interval.
        high: shape (p,), upper end.
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
    resamples: int = 1000,
    level: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> CurveBand:
    """Best sensitivity at each false positive rate: the ROC curve as a staircase, without interpolation.

    Arguments and errors are those of `intervals.bootstrap_interval`.
    """
    return _band(weighted_roc(scores, positive, GRID), patients, resamples, level, seed)


def precision_recall_band(
    scores: Float[np.ndarray, " n"],
    positive: Bool[np.ndarray, " n"],
    patients: Shaped[np.ndarray, " n"],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> CurveBand:
    """Precision at the highest threshold that reaches each recall; by chance it is the share of positives.

    Arguments and errors are those of `intervals.bootstrap_interval`.
    """
    return _band(weighted_precision_recall(scores, positive, GRID), patients, resamples, level, seed)


def _band(
    curve: WeightedCurve,
    patients: Shaped[np.ndarray, " n"],
    resamples: int,
    level: float,
    seed: int | np.random.Generator,
) -> CurveBand:
    values = curve(np.ones((len(patients), 1)))[0]
    draws = bootstrap_draws({"curve": curve}, patients, resamples=resamples, seed=seed)["curve"]
    of_points = draws.reshape(-1, len(GRID)).T
    found = [Interval.from_draws(float(value), drawn, level) for value, drawn in zip(values, of_points, strict=True)]
    return CurveBand(GRID, values, np.array([each.low for each in found]), np.array([each.high for each in found]))
