"""Metrics as functions of case weights, one column of weights per resample: what the bootstrap evaluates.

Integer weights give the same value as repeating the cases. All columns are computed at once: a metric sorts its scores
once, and each resample then costs O(n).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from ggcam.metrics.calibration import BINS, bin_of
from ggcam.metrics.ranking import check_ordered, check_scores, tie_ends

WeightedStatistic = Callable[[Float[np.ndarray, "n r"]], Float[np.ndarray, " r"]]
"""Function from case weights, one column per resample, to the statistic of each resample; NaN where undefined."""

WeightedCurve = Callable[[Float[np.ndarray, "n r"]], Float[np.ndarray, "r p"]]
"""The same with p values per resample, the points of a curve."""


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
        return _ratio(np.where(applies, self.values, 0.0) @ weights, applies.astype(np.float64) @ weights)


def weighted_mean(values: Shaped[np.ndarray, " n"]) -> CaseMean:
    """Create the mean of a value per case, such as correctness (accuracy) or hits (hit rate).

    Args:
        values: shape (n,); NaN marks a case to which the value does not apply, and leaves it out.

    Returns:
        Statistic of case weights; NaN for a resample without applicable cases.
    """
    return CaseMean(values.astype(np.float64))


def weighted_auroc(scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> WeightedStatistic:
    """Create the AUROC, ties counting half.

    Args:
        scores: shape (n,), higher for positives.
        positive: shape (n,), whether each case is a positive.

    Returns:
        Statistic of case weights; NaN for a resample without positives or without negatives.

    Raises:
        ValueError: a score is NaN.
    """
    check_ordered(scores)
    negative_order = np.flatnonzero(~positive)[np.argsort(scores[~positive], kind="stable")]
    positives = np.flatnonzero(positive)
    below = np.searchsorted(scores[negative_order], scores[positives], side="left")
    up_to = np.searchsorted(scores[negative_order], scores[positives], side="right")

    def statistic(weights: Float[np.ndarray, "n r"]) -> Float[np.ndarray, " r"]:
        of_positives = weights[positives]
        # Row i is the total weight of the i lowest negatives.
        lowest = np.zeros((len(negative_order) + 1, weights.shape[1]))
        np.cumsum(weights[negative_order], axis=0, out=lowest[1:])
        won = np.einsum("pr,pr->r", of_positives, lowest[below]) + np.einsum("pr,pr->r", of_positives, lowest[up_to])
        return _ratio(won / 2, of_positives.sum(axis=0) * lowest[-1])

    return statistic


def weighted_macro_auroc(probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> WeightedStatistic:
    """Create the macro AUROC, one class against the rest.

    Args:
        probabilities: shape (n, k).
        labels: shape (n,), class index of each case.

    Returns:
        Statistic of case weights; the mean over the classes for which all cases together define an AUROC. NaN for a
        resample without one of these classes.

    Raises:
        ValueError: a probability is not finite, or a label is not a column of `probabilities`.
    """
    check_scores(probabilities, labels)
    return mean_of([weighted_auroc(probabilities[:, k], labels == k) for k in _classes_with_auroc(labels)])


def weighted_macro_auroc_ovo(
    probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]
) -> WeightedStatistic:
    """Create the mean AUROC over all pairs of classes that have cases, each from both its columns.

    Hand and Till (2001).

    Args:
        probabilities: shape (n, k).
        labels: shape (n,), class index of each case.

    Returns:
        Statistic of case weights; NaN for a resample without one of these classes.

    Raises:
        ValueError: a probability is not finite, or a label is not a column of `probabilities`.
    """
    check_scores(probabilities, labels)
    parts: list[WeightedStatistic] = []
    for a, b in combinations(np.unique(labels), 2):
        either = (labels == a) | (labels == b)
        parts += [on_cases(either, weighted_auroc(probabilities[either, c], labels[either] == c)) for c in (a, b)]
    return mean_of(parts)


def weighted_micro_auroc(probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> WeightedStatistic:
    """Create the AUROC over all pairs of a case and a class, whose positives are the true classes.

    Args:
        probabilities: shape (n, k).
        labels: shape (n,), class index of each case.

    Returns:
        Statistic of case weights; NaN where undefined.

    Raises:
        ValueError: a probability is not finite, or a label is not a column of `probabilities`.
    """
    check_scores(probabilities, labels)
    cases, classes = probabilities.shape
    one_hot = labels[:, None] == np.arange(classes)
    pooled = weighted_auroc(probabilities.ravel(), one_hot.ravel())
    return on_cases(np.repeat(np.arange(cases), classes), pooled)


def weighted_auprc(scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> WeightedStatistic:
    """Create the average precision: mean over the positives of the precision at each one's score.

    Args:
        scores: shape (n,), higher for positives.
        positive: shape (n,), whether each case is a positive.

    Returns:
        Statistic of case weights; NaN for a resample without positives.

    Raises:
        ValueError: a score is NaN.
    """
    sweep = _Sweep(scores, positive)

    def statistic(weights: Float[np.ndarray, "n r"]) -> Float[np.ndarray, " r"]:
        true, false = sweep(weights)
        precision = _ratio(true, true + false)
        of_positives = weights[sweep.order] * positive[sweep.order, None]
        summed = np.einsum("nr,nr->r", np.nan_to_num(precision), of_positives)
        return _ratio(summed, of_positives.sum(axis=0))

    return statistic


def weighted_macro_auprc(probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> WeightedStatistic:
    """Create the mean average precision over the classes that have cases.

    Args:
        probabilities: shape (n, k).
        labels: shape (n,), class index of each case.

    Returns:
        Statistic of case weights; NaN for a resample without one of these classes.

    Raises:
        ValueError: a probability is not finite, or a label is not a column of `probabilities`.
    """
    check_scores(probabilities, labels)
    return mean_of([weighted_auprc(probabilities[:, k], labels == k) for k in np.unique(labels)])


def weighted_sensitivity(
    scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], specificity: float = 0.9
) -> WeightedStatistic:
    """Create the sensitivity at the lowest threshold with at least a given specificity, chosen anew in each resample.

    Args:
        scores: shape (n,), higher for positives.
        positive: shape (n,), whether each case is a positive.
        specificity: minimum specificity, 0 to 1.

    Returns:
        Statistic of case weights; NaN for a resample without positives or without negatives.

    Raises:
        ValueError: a score is NaN.
    """
    curve = weighted_roc(scores, positive, np.array([1.0 - specificity]))
    return lambda weights: curve(weights)[:, 0]


def weighted_roc(
    scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], false_positive_rate: Float[np.ndarray, " p"]
) -> WeightedCurve:
    """Create the ROC curve as a staircase: the best sensitivity at each false positive rate, without interpolation.

    Args:
        scores: shape (n,), higher for positives.
        positive: shape (n,), whether each case is a positive.
        false_positive_rate: shape (p,), 0 to 1.

    Returns:
        Curve of case weights; NaN for a resample without positives or without negatives.

    Raises:
        ValueError: a score is NaN.
    """
    sweep = _Sweep(scores, positive)

    def statistic(weights: Float[np.ndarray, "n r"]) -> Float[np.ndarray, "r p"]:
        sensitivity = np.full((weights.shape[1], len(false_positive_rate)), np.nan)
        for row, true, false in zip(sensitivity, *(part.T for part in sweep(weights)), strict=True):
            if true.any() and false.any():
                allowed = np.searchsorted(false, (false_positive_rate + 1e-12) * false[-1], side="right")
                # At a threshold above all scores, the sensitivity is 0.
                row[:] = np.concatenate([[0.0], true])[allowed] / true[-1]
        return sensitivity

    return statistic


def weighted_precision_recall(
    scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], recall: Float[np.ndarray, " p"]
) -> WeightedCurve:
    """Create the precision-recall curve: the precision at the highest threshold that reaches each recall.

    Args:
        scores: shape (n,), higher for positives.
        positive: shape (n,), whether each case is a positive.
        recall: shape (p,), 0 to 1; at 0 the threshold is the highest score.

    Returns:
        Curve of case weights; NaN for a resample without positives.

    Raises:
        ValueError: a score is NaN.
    """
    sweep = _Sweep(scores, positive)

    def statistic(weights: Float[np.ndarray, "n r"]) -> Float[np.ndarray, "r p"]:
        precision = np.full((weights.shape[1], len(recall)), np.nan)
        for row, true, false in zip(precision, *(part.T for part in sweep(weights)), strict=True):
            if true.any():
                least = np.maximum((recall - 1e-12) * true[-1], np.finfo(np.float64).tiny)
                reached = np.searchsorted(true, least, side="left")
                row[:] = true[reached] / (true + false)[reached]
        return precision

    return statistic


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
            return np.where(has > 0, _ratio(2 * right, has + _sums(weights, predicted)), np.nan)

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
        known = _ratio(covariance, np.sqrt(of_true * of_predicted))
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
        return _ratio(np.abs(gaps @ weights).sum(axis=0), weights.sum(axis=0))

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


class _Sweep:
    """Weight of the positives and of the negatives at or above each score, shape (n, r) both, with scores falling.

    The rows of equal scores are equal, since a threshold takes all of them or none.
    """

    def __init__(self, scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]):
        check_ordered(scores)
        self.order = np.argsort(-scores, kind="stable")
        self._last = tie_ends(scores[self.order][None].astype(np.float64))[1][0]
        self._positive = positive[self.order, None]

    def __call__(self, weights: Float[np.ndarray, "n r"]) -> tuple[Float[np.ndarray, "n r"], Float[np.ndarray, "n r"]]:
        ordered = weights[self.order]
        true = np.cumsum(ordered * self._positive, axis=0)
        false = np.cumsum(ordered * ~self._positive, axis=0)
        return true[self._last], false[self._last]


def _classes_with_auroc(labels: Int[np.ndarray, " n"]) -> Int[np.ndarray, " k"]:
    """Return the labels that some cases have and others do not."""
    present = np.unique(labels)
    return present if len(present) > 1 else present[:0]


def on_cases(rows: Shaped[np.ndarray, " m"], statistic: WeightedStatistic) -> WeightedStatistic:
    """Turn a statistic of some of the cases, or of repeated ones, into one of all cases.

    Args:
        rows: index or mask of the cases.
        statistic: statistic of the weights of these cases.

    Returns:
        Statistic of the weights of all cases.
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
        return _ratio(np.where(defined, values, 0.0).sum(axis=0), defined.sum(axis=0, dtype=np.float64))

    return statistic


def _sums(weights: Float[np.ndarray, "n r"], chosen: Bool[np.ndarray, " n"]) -> Float[np.ndarray, " r"]:
    return chosen.astype(np.float64) @ weights


def _ratio(above: Float[np.ndarray, "*s"], below: Float[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
    """Divide; NaN where the divisor is 0."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
