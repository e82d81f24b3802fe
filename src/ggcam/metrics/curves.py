"""ROC and precision-recall curves with a band, on a grid of their own that figures can draw.

Of the points of a curve alone, `sklearn.metrics.roc_curve` and `precision_recall_curve` tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped

from ggcam.metrics.intervals import bootstrap_intervals
from ggcam.metrics.weighted import WeightedStatistic, weighted_precision, weighted_sensitivity

POINTS = 51
"""Of a curve: 0, 0.02, ..., 1."""


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
    return _band(lambda x: weighted_sensitivity(scores, positive, 1 - x), patients, resamples, level, seed)


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
    return _band(lambda x: weighted_precision(scores, positive, x), patients, resamples, level, seed)


def _band(
    at: Callable[[float], WeightedStatistic],
    patients: Shaped[np.ndarray, " n"],
    resamples: int,
    level: float,
    seed: int | np.random.Generator,
) -> CurveBand:
    x = np.linspace(0, 1, POINTS)
    points = {str(i): at(float(value)) for i, value in enumerate(x)}
    found = list(bootstrap_intervals(points, patients, resamples=resamples, level=level, seed=seed).values())
    y, low, high = (np.array([getattr(point, end) for point in found]) for end in ("value", "low", "high"))
    return CurveBand(x, y, low, high)
