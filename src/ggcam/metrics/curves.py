"""ROC and precision-recall curves with pointwise confidence bands, on a fixed grid for plotting.

For the points of a curve alone, use `sklearn.metrics.roc_curve` and `precision_recall_curve`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from ggcam.metrics.bootstrap_statistics import WeightedCurve, on_cases
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


class ClassCurves(NamedTuple):
    """The curves of one class.

    Attributes:
        roc: the ROC curve as a staircase, without interpolation: the best sensitivity at each false positive rate.
        precision_recall: the precision at the highest threshold that reaches each recall; by chance the prevalence.
    """

    roc: CurveBand
    precision_recall: CurveBand


def class_curves(
    scores: Float[np.ndarray, " n"],
    truth: Float[np.ndarray, " n"],
    patients: Shaped[np.ndarray, " n"],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> ClassCurves:
    """Compute the ROC and the precision-recall curve of a class, both from the same resamples of patients.

    Args:
        scores: shape (n,), score of each case for the class.
        truth: shape (n,), 1, 0 or NaN (unknown). Unknown cases are resampled with their patients, but left out of the
            curves.
        patients: shape (n,), patient of each case.
        resamples: number of bootstrap resamples of patients.
        level: level of the interval, 0 to 1.
        seed: seed of the resamples, or a generator.

    Returns:
        The curves; NaN without positives and, for the ROC curve, without negatives.

    Raises:
        ValueError: there are no cases, a score of a known case is NaN, or `level` or `resamples` is out of range.
    """
    known = ~np.isnan(truth)
    cases = scores[known], truth[known] == 1, GRID
    curves: dict[str, WeightedCurve] = {
        "roc": on_cases(known, weighted_roc(*cases)),
        "precision_recall": on_cases(known, weighted_precision_recall(*cases)),
    }
    draws = bootstrap_draws(curves, patients, resamples=resamples, seed=seed)
    all_cases = np.ones((len(patients), 1))
    return ClassCurves(**{name: _band(curve(all_cases)[0], draws[name], level) for name, curve in curves.items()})


def _band(values: Float[np.ndarray, " p"], draws: Float[np.ndarray, "_ ..."], level: float) -> CurveBand:
    by_point = draws.reshape(-1, len(GRID)).T
    ends = [Interval.from_draws(float(value), drawn, level) for value, drawn in zip(values, by_point, strict=True)]
    return CurveBand(GRID, values, np.array([each.low for each in ends]), np.array([each.high for each in ends]))
