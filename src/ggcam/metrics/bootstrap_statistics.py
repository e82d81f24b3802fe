"""Metrics as functions of case weights, one column of weights per resample: what the bootstrap evaluates.

Integer weights give the same value as repeating the cases. All columns are computed at once: a metric sorts its scores
once, and each resample then costs O(n). Metrics over all thresholds of a score are in `threshold_statistics`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from ggcam.metrics.calibration import BINS, bin_of

WeightedStatistic = Callable[[Float[np.ndarray, "n r"]], Float[np.ndarray, " r"]]
"""Function from case weights, one column per resample, to the statistic of each resample; NaN where undefined."""

WeightedCurve = Callable[[Float[np.ndarray, "n r"]], Float[np.ndarray, "r p"]]
"""The same with p values per resample, the points of a curve."""

Values = TypeVar("Values")


@dataclass(frozen=True, eq=False)
class CaseMean:
    """Mean of a value per case, as a statistic of case weights that keeps the values.

    Attributes:
        values: shape (n,), NaN where the value does not apply.
    """

    values: Float[np.ndarray, " n"]

    def __call__(self, weights: Float[np.ndarray, "n r"]) -> Float[np.ndarray, " r"]:
        """Return the weighted mean of each resample."""
        applies = ~np.isnan(self.values)
        return divide(np.where(applies, self.values, 0.0) @ weights, applies.astype(np.float64) @ weights)


def weighted_mean(values: Shaped[np.ndarray, " n"]) -> CaseMean:
    """Create the mean of a value per case, such as correctness (accuracy) or hits (hit rate).

    Args:
        values: shape (n,); NaN marks a case to which the value does not apply, and leaves it out.

    Returns:
        Statistic of case weights; NaN for a resample without applicable cases.
    """
    return CaseMean(values.astype(np.float64))


def weighted_balanced_accuracy(predictions: Int[np.ndarray, " n"], labels: Int[np.ndarray, " n"]) -> WeightedStatistic:
    """Create the mean recall over the classes that have cases.

    Args:
        predictions: shape (n,), predicted class of each case.
        labels: shape (n,), true class of each case.

    Returns:
        Statistic of case weights; NaN for a resample without one of these classes.
    """
    return mean_of([on_cases(labels == k, weighted_mean(predictions[labels == k] == k)) for k in np.unique(labels)])


def weighted_macro_f1(predictions: Int[np.ndarray, " n"], labels: Int[np.ndarray, " n"]) -> WeightedStatistic:
    """Create the mean F1 over the classes that have cases.

    Args:
        predictions: shape (n,), predicted class of each case.
        labels: shape (n,), true class of each case.

    Returns:
        Statistic of case weights; NaN for a resample without one of these classes.
    """

    def f1(k: int) -> WeightedStatistic:
        true, predicted = labels == k, predictions == k

        def statistic(weights: Float[np.ndarray, "n r"]) -> Float[np.ndarray, " r"]:
            has, right = _sums(weights, true), _sums(weights, true & predicted)
            return np.where(has > 0, divide(2 * right, has + _sums(weights, predicted)), np.nan)

        return statistic

    return mean_of([f1(int(k)) for k in np.unique(labels)])


def weighted_mcc(predictions: Int[np.ndarray, " n"], labels: Int[np.ndarray, " n"]) -> WeightedStatistic:
    """Create the Matthews correlation coefficient for any number of classes (Gorodkin, 2004, eq. 8).

    Args:
        predictions: shape (n,), predicted class of each case.
        labels: shape (n,), true class of each case.

    Returns:
        Statistic of case weights; 0 if only one class is predicted, as by chance; NaN if only one class has cases.
    """
    classes = np.union1d(predictions, labels)
    is_true = (labels[:, None] == classes).astype(np.float64)
    is_predicted = (predictions[:, None] == classes).astype(np.float64)

    def statistic(weights: Float[np.ndarray, "n r"]) -> Float[np.ndarray, " r"]:
        all_cases, right = weights.sum(axis=0), _sums(weights, predictions == labels)
        true, predicted = is_true.T @ weights, is_predicted.T @ weights
        covariance = right * all_cases - (true * predicted).sum(axis=0)
        of_true, of_predicted = (all_cases**2 - (part**2).sum(axis=0) for part in (true, predicted))
        known = divide(covariance, np.sqrt(of_true * of_predicted))
        return np.where(of_true > 0, np.nan_to_num(known), np.nan)

    return statistic


def weighted_ece(
    confidence: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"], bins: int = BINS
) -> WeightedStatistic:
    """Create the expected calibration error, the mean gap between confidence and accuracy over bins of confidence.

    Bins are weighted by their cases (Naeini et al., 2015, eq. 3). Even perfectly calibrated probabilities score above 0
    in a small set, where the accuracy of each bin varies by chance.

    Args:
        confidence: shape (n,), 0 to 1.
        right: shape (n,), whether the prediction is correct.
        bins: number of bins.

    Returns:
        Statistic of case weights; NaN for a resample without cases.

    Raises:
        ValueError: a confidence is not between 0 and 1.
    """
    in_bin = (bin_of(confidence, bins)[:, None] == np.arange(bins)).astype(np.float64)
    gaps = (in_bin * (right - confidence)[:, None]).T

    def statistic(weights: Float[np.ndarray, "n r"]) -> Float[np.ndarray, " r"]:
        return divide(np.abs(gaps @ weights).sum(axis=0), weights.sum(axis=0))

    return statistic


def weighted_reliability(
    confidence: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"], bins: int = BINS
) -> dict[str, dict[str, Any]]:
    """Create the reliability curve: confidence and accuracy by bin of confidence, without empty bins.

    Args:
        confidence: shape (n,), 0 to 1.
        right: shape (n,), whether the prediction is correct.
        bins: number of bins.

    Returns:
        Name of a bin, such as "0.3-0.4" -> its number of "cases", and its mean "confidence" and "accuracy" as
        statistics.

    Raises:
        ValueError: a confidence is not between 0 and 1.
    """
    place, edges = bin_of(confidence, bins), np.linspace(0, 1, bins + 1)
    return {
        f"{edges[k]:.3g}-{edges[k + 1]:.3g}": {
            "cases": int((place == k).sum()),
            "confidence": weighted_mean(np.where(place == k, confidence, np.nan)),
            "accuracy": weighted_mean(np.where(place == k, right, np.nan)),
        }
        for k in np.unique(place)
    }


def on_cases(
    rows: Shaped[np.ndarray, " m"], statistic: Callable[[np.ndarray], Values]
) -> Callable[[np.ndarray], Values]:
    """Turn a statistic of some of the cases, or of repeated ones, into one of all cases.

    Args:
        rows: index or mask of the cases.
        statistic: statistic or curve of the weights of these cases.

    Returns:
        Statistic or curve of the weights of all cases.
    """
    return lambda weights: statistic(weights[rows])


def mean_of(parts: Sequence[WeightedStatistic]) -> WeightedStatistic:
    """Create the mean of several statistics.

    Args:
        parts: the statistics.

    Returns:
        Statistic of case weights; NaN where one of the parts is NaN, and without parts.
    """

    def statistic(weights: Float[np.ndarray, "n r"]) -> Float[np.ndarray, " r"]:
        total = sum((part(weights) for part in parts), np.zeros(weights.shape[1]))
        return total / len(parts) if parts else np.full(weights.shape[1], np.nan)

    return statistic


def mean_of_defined(parts: Sequence[WeightedStatistic]) -> WeightedStatistic:
    """Create the mean of those of several statistics that are defined in a resample.

    Args:
        parts: the statistics.

    Returns:
        Statistic of case weights; NaN where none of the parts is defined.
    """

    def statistic(weights: Float[np.ndarray, "n r"]) -> Float[np.ndarray, " r"]:
        values = np.array([part(weights) for part in parts]).reshape(len(parts), weights.shape[1])
        defined = np.isfinite(values)
        return divide(np.where(defined, values, 0.0).sum(axis=0), defined.sum(axis=0, dtype=np.float64))

    return statistic


def _sums(weights: Float[np.ndarray, "n r"], chosen: Bool[np.ndarray, " n"]) -> Float[np.ndarray, " r"]:
    return chosen.astype(np.float64) @ weights


def divide(above: Float[np.ndarray, "*s"], below: Float[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
    """Divide element by element.

    Args:
        above: dividends.
        below: divisors, 0 or more.

    Returns:
        The quotients; NaN where the divisor is 0.
    """
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
