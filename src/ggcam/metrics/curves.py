"""ROC and precision-recall curves with pointwise confidence bands, on a fixed grid for plotting.

For the points of a curve alone, use `sklearn.metrics.roc_curve` and `precision_recall_curve`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

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


class ClassCurves(NamedTuple):
    """The curves of one class.

    Attributes:
        roc: the ROC curve as a staircase, without interpolation: the best sensitivity at each false positive rate.
        precision_recall: the precision at the highest threshold that reaches each recall; by chance the prevalence.
    """

    roc: CurveBand
    precision_recall: CurveBand


def class_curves(
    scores: Float[np.ndarray, "n k"],
    truth: Float[np.ndarray, "n k"],
    patients: Shaped[np.ndarray, " n"],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> list[ClassCurves]:
    """Compute the ROC and the precision-recall curve of each class, all from the same resamples of patients.

    Args:
        scores: shape (n, k), score of each case for each class.
        truth: shape (n, k), 1, 0 or NaN (unknown). Unknown cases are resampled with their patients, but left out of
            the curves of the class.
        patients: shape (n,), patient of each case.
        resamples: number of bootstrap resamples of patients.
        level: level of the interval, 0 to 1.
        seed: seed of the resamples, or a generator.

    Returns:
        k pairs of curves; NaN without positives and, for the ROC curve, without negatives.

    Raises:
        ValueError: there are no cases, a score of a known case is NaN, or `level` or `resamples` is out of range.
    """
    curves: dict[str, WeightedCurve] = {}
    for k, (known, positive) in enumerate(zip(~np.isnan(truth).T, truth.T == 1, strict=True)):
        of_class = scores[known, k], positive[known], GRID
        curves[f"roc/{k}"] = _on_known(known, weighted_roc(*of_class))
        curves[f"precision_recall/{k}"] = _on_known(known, weighted_precision_recall(*of_class))
    draws = bootstrap_draws(curves, patients, resamples=resamples, seed=seed)
    all_cases = np.ones((len(patients), 1))
    bands: dict[str, CurveBand] = {}
    for name, curve in curves.items():
        values, by_point = curve(all_cases)[0], draws[name].reshape(-1, len(GRID)).T
        ends = [Interval.from_draws(float(value), drawn, level) for value, drawn in zip(values, by_point, strict=True)]
        low, high = (np.array([getattr(each, end) for each in ends]) for end in ("low", "high"))
        bands[name] = CurveBand(GRID, values, low, high)
    return [ClassCurves(bands[f"roc/{k}"], bands[f"precision_recall/{k}"]) for k in range(scores.shape[1])]


def _on_known(known: Bool[np.ndarray, " n"], curve: WeightedCurve) -> WeightedCurve:
    """Turn a curve of the cases whose label is known into one of all cases."""
    return lambda weights: curve(weights[known])
