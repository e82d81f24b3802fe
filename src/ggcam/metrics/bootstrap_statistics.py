"""Metrics of a classifier as functions of case weights, a column a resample: what the bootstrap repeats 10,000 times.

Integer weights give what repeating the cases would. All columns are worked on at once: a metric sorts its scores once,
and a resample costs O(n) from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from ggcam.metrics.calibration import BINS, bin_of
from ggcam.metrics.classification import check_scores
from ggcam.metrics.ranking import check_ordered, tie_ends

WeightedStatistic = Callable[[Float[np.ndarray, "n r"]], Float[np.ndarray, " r"]]
"""Case weights, a column a resample -> the statistic of each resample; NaN where a resample does not define it."""

WeightedCurve = Callable[[Float[np.ndarray, "n r"]], Float[np.ndarray, "r p"]]
"""The same with p values a resample: the points of a curve."""


@dataclass(frozen=True, eq=False)
class CaseMean:
    """Mean of a value per case; a statistic that can still tell what it is the mean of.

    Attributes:
        values: shape (n,), NaN where the value does not apply.
    """

    values: Float[np.ndarray, " n"]

    def __call__(self, weights: Float[np.ndarray, "n r"]) -> Float[np.ndarray, " r"]:
        """The mean of each resample."""
        applies = ~np.isnan(self.values)
        return _ratio(np.where(applies, self.values, 0.0) @ weights, applies.astype(np.float64) @ weights)


def weighted_mean(values: Shaped[np.ndarray, " n"]) -> CaseMean:
    """Mean of a value per case, such as right or wrong (accuracy) or hit or missed (hit rate).

    NaN marks a case that the value does not apply to; it is left out. A resample of such cases alone gives NaN.
    """
    return CaseMean(values.astype(np.float64))


def weighted_auroc(scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> WeightedStatistic:
    """AUROC, ties counting half; NaN for a resample without positives or without negatives.

    Raises:
        ValueError: a score is NaN; so do all metrics below that go by the order of scores.
    """
    check_ordered(scores)
    negative_order = np.flatnonzero(~positive)[np.argsort(scores[~positive], kind="stable")]
    positives = np.flatnonzero(positive)
    below = np.searchsorted(scores[negative_order], scores[positives], side="left")
    up_to = np.searchsorted(scores[negative_order], scores[positives], side="right")

    def statistic(weights: Float[np.ndarray, "n r"]) -> Float[np.ndarray, " r"]:
        of_positives = weights[positives]
        # Row i: total weight of the i lowest negatives.
        lowest = np.zeros((len(negative_order) + 1, weights.shape[1]))
        np.cumsum(weights[negative_order], axis=0, out=lowest[1:])
        won = np.einsum("pr,pr->r", of_positives, lowest[below]) + np.einsum("pr,pr->r", of_positives, lowest[up_to])
        return _ratio(won / 2, of_positives.sum(axis=0) * lowest[-1])

    return statistic


def weighted_macro_auroc(probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> WeightedStatistic:
    """Macro AUROC, one against rest.

    The mean goes over the classes that all cases together define; a resample that loses one of them gives NaN.

    Raises:
        ValueError: a probability is not finite, or a label is no column of `probabilities`.
    """
    check_scores(probabilities, labels)
    return mean_of([weighted_auroc(probabilities[:, k], labels == k) for k in _classes_with_a_rest(labels)])


def weighted_macro_auroc_ovo(
    probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]
) -> WeightedStatistic:
    """Mean AUROC over all pairs of classes that have cases, each judged by both its columns (Hand and Till, 2001).

    A resample that loses one of these classes gives NaN.

    Raises:
        ValueError: a probability is not finite, or a label is no column of `probabilities`.
    """
    check_scores(probabilities, labels)
    parts: list[WeightedStatistic] = []
    for a, b in combinations(np.unique(labels), 2):
        either = (labels == a) | (labels == b)
        parts += [on_cases(either, weighted_auroc(probabilities[either, c], labels[either] == c)) for c in (a, b)]
    return mean_of(parts)


def weighted_micro_auroc(probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> WeightedStatistic:
    """AUROC of all (case, class) pairs in one pool: is the class's probability high where it is the true one?

    Raises:
        ValueError: a probability is not finite, or a label is no column of `probabilities`.
    """
    check_scores(probabilities, labels)
    cases, classes = probabilities.shape
    one_hot = labels[:, None] == np.arange(classes)
    merge_rare = weighted_auroc(probabilities.ravel(), one_hot.ravel())
    return on_cases(np.repeat(np.arange(cases), classes), merge_rare)


def weighted_auprc(scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> WeightedStatistic:
    """Average precision: mean over the positives of the precision among all that score at least as high.

    NaN for a resample without positives.
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
    """Mean average precision over the classes that have cases; a resample that loses one of them gives NaN.

    Raises:
        ValueError: a probability is not finite, or a label is no column of `probabilities`.
    """
    check_scores(probabilities, labels)
    return mean_of([weighted_auprc(probabilities[:, k], labels == k) for k in np.unique(labels)])


def weighted_sensitivity(
    scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], specificity: float = 0.9
) -> WeightedStatistic:
    """Sensitivity at the lowest threshold that keeps at least this specificity, chosen anew in each resample.

    NaN for a resample without positives or without negatives.
    """
    curve = weighted_roc(scores, positive, np.array([1.0 - specificity]))
    return lambda weights: curve(weights)[:, 0]


def weighted_roc(
    scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], false_positive_rate: Float[np.ndarray, " p"]
) -> WeightedCurve:
    """Best sensitivity at each false positive rate: a staircase, without interpolation.

    NaN for a resample without positives or without negatives.
    """
    sweep = _Sweep(scores, positive)

    def statistic(weights: Float[np.ndarray, "n r"]) -> Float[np.ndarray, "r p"]:
        sensitivity = np.full((weights.shape[1], len(false_positive_rate)), np.nan)
        for row, true, false in zip(sensitivity, *(part.T for part in sweep(weights)), strict=True):
            if true.any() and false.any():
                allowed = np.searchsorted(false, (false_positive_rate + 1e-12) * false[-1], side="right")
                # Above all scores nothing is found.
                row[:] = np.concatenate([[0.0], true])[allowed] / true[-1]
        return sensitivity

    return statistic


def weighted_precision_recall(
    scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], recall: Float[np.ndarray, " p"]
) -> WeightedCurve:
    """Precision at the highest threshold that reaches each recall and finds anything at all.

    NaN for a resample without positives.
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
    """Mean recall over the classes that have cases; a resample that loses one of them gives NaN."""
    return mean_of([on_cases(labels == k, weighted_mean(predictions[labels == k] == k)) for k in np.unique(labels)])


def weighted_macro_f1(predictions: Int[np.ndarray, " n"], labels: Int[np.ndarray, " n"]) -> WeightedStatistic:
    """Mean F1 over the classes that have cases; a resample that loses one of them gives NaN."""

    def f1(k: int) -> WeightedStatistic:
        true, predicted = labels == k, predictions == k

        def statistic(weights: Float[np.ndarray, "n r"]) -> Float[np.ndarray, " r"]:
            has, right = _sums(weights, true), _sums(weights, true & predicted)
            return np.where(has > 0, _ratio(2 * right, has + _sums(weights, predicted)), np.nan)

        return statistic

    return mean_of([f1(int(k)) for k in np.unique(labels)])


def weighted_mcc(predictions: Int[np.ndarray, " n"], labels: Int[np.ndarray, " n"]) -> WeightedStatistic:
    """Matthews correlation of predicted and true class, any number of classes (Gorodkin, 2004, eq. 8).

    0 where only one class is predicted, as knowing nothing scores; NaN where only one class is left.
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
    """Expected calibration error, see `calibration.expected_calibration_error`; biased upwards in small sets."""
    in_bin = (bin_of(confidence, bins)[:, None] == np.arange(bins)).astype(np.float64)
    gaps = (in_bin * (right - confidence)[:, None]).T

    def statistic(weights: Float[np.ndarray, "n r"]) -> Float[np.ndarray, " r"]:
        return _ratio(np.abs(gaps @ weights).sum(axis=0), weights.sum(axis=0))

    return statistic


def weighted_reliability(
    confidence: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"], bins: int = BINS
) -> dict[str, dict[str, Any]]:
    """`calibration.reliability_curve`: "0.3-0.4" -> its "cases", mean "confidence" and "accuracy"; no empty bins.

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
    """The threshold goes down over all scores: weight of the positives and negatives at or above each, (n, r) both.

    Rows are in the order of falling scores; the rows of equal scores are equal, for a threshold takes all or none.
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


def _classes_with_a_rest(labels: Int[np.ndarray, " n"]) -> Int[np.ndarray, " k"]:
    """The labels that some cases have and some have not."""
    present = np.unique(labels)
    return present if len(present) > 1 else present[:0]


def on_cases(rows: Shaped[np.ndarray, " m"], statistic: WeightedStatistic) -> WeightedStatistic:
    """A statistic of some of the cases, or of repeated ones, as one of all cases."""
    return lambda weights: statistic(weights[rows])


def mean_of(parts: Sequence[WeightedStatistic]) -> WeightedStatistic:
    """Mean of several statistics: NaN where one of them is, and without any."""

    def statistic(weights: Float[np.ndarray, "n r"]) -> Float[np.ndarray, " r"]:
        total = sum((part(weights) for part in parts), np.zeros(weights.shape[1]))
        return total / len(parts) if parts else np.full(weights.shape[1], np.nan)

    return statistic


def mean_of_defined(parts: Sequence[WeightedStatistic]) -> WeightedStatistic:
    """Mean of those of several statistics that a resample defines; NaN where it defines none."""

    def statistic(weights: Float[np.ndarray, "n r"]) -> Float[np.ndarray, " r"]:
        values = np.array([part(weights) for part in parts]).reshape(len(parts), weights.shape[1])
        defined = np.isfinite(values)
        return _ratio(np.where(defined, values, 0.0).sum(axis=0), defined.sum(axis=0, dtype=np.float64))

    return statistic


def _sums(weights: Float[np.ndarray, "n r"], chosen: Bool[np.ndarray, " n"]) -> Float[np.ndarray, " r"]:
    return chosen.astype(np.float64) @ weights


def _ratio(above: Float[np.ndarray, "*s"], below: Float[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
    """The quotient, NaN where the divisor is 0."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
