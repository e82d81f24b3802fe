"""Metrics over all thresholds of a score, as functions of case weights: areas under curves, and points on them.

See `bootstrap_statistics` for the weights and for all other metrics.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float, Int

from ggcam.metrics.bootstrap_statistics import WeightedCurve, WeightedStatistic, divide, mean_of, on_cases
from ggcam.metrics.ranking import check_ordered, check_scores, tie_ends


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
        return divide(won / 2, of_positives.sum(axis=0) * lowest[-1])

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
    positives = np.flatnonzero(positive[sweep.order])

    def statistic(weights: Float[np.ndarray, "n r"]) -> Float[np.ndarray, " r"]:
        true, false = (part[1 + positives] for part in sweep(weights))
        precision = divide(true, true + false)
        of_positives = weights[sweep.order[positives]]
        summed = np.einsum("nr,nr->r", np.nan_to_num(precision), of_positives)
        return divide(summed, of_positives.sum(axis=0))

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
        true, false = (np.ascontiguousarray(part.T) for part in sweep(weights))
        positives, negatives = true[:, -1:], false[:, -1:]
        most = (false_positive_rate + 1e-12) * negatives
        beyond = np.array([row.searchsorted(limits, side="right") for row, limits in zip(false, most, strict=True)])
        found = np.take_along_axis(true, beyond - 1, axis=1)
        return divide(found, np.where(negatives > 0, positives, np.zeros_like(found)))

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
        true, false = (np.ascontiguousarray(part.T) for part in sweep(weights))
        positives = true[:, -1:]
        least = np.maximum((recall - 1e-12) * positives, np.finfo(np.float64).tiny)
        reached = np.array([row.searchsorted(limits) for row, limits in zip(true, least, strict=True)])
        reached = np.minimum(reached, true.shape[1] - 1)  # without positives, no threshold reaches any recall
        found, all_above = (np.take_along_axis(part, reached, axis=1) for part in (true, true + false))
        return divide(found, np.where(positives > 0, all_above, 0.0))

    return statistic


class _Sweep:
    """Weight of the positives and of the negatives at or above each score, with scores falling.

    Each has the shape (n + 1, r): the first row is that of a threshold above all scores. The rows of equal scores are
    equal, since a threshold takes all of them or none.
    """

    def __init__(self, scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]):
        check_ordered(scores)
        self.order = np.argsort(-scores, kind="stable")
        last = tie_ends(scores[self.order][None].astype(np.float64))[1][0]
        self._last = np.concatenate([[0], last + 1])
        self._positive = positive[self.order, None]

    def __call__(self, weights: Float[np.ndarray, "n r"]) -> tuple[Float[np.ndarray, "m r"], Float[np.ndarray, "m r"]]:
        ordered = weights[self.order]
        true, false = np.zeros((2, len(self._last), weights.shape[1]))
        np.cumsum(ordered * self._positive, axis=0, out=true[1:])
        np.cumsum(ordered * ~self._positive, axis=0, out=false[1:])
        return true[self._last], false[self._last]


def _classes_with_auroc(labels: Int[np.ndarray, " n"]) -> Int[np.ndarray, " k"]:
    """Return the labels that some cases have and others do not."""
    present = np.unique(labels)
    return present if len(present) > 1 else present[:0]
