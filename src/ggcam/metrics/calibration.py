"""How well probabilities match observed frequencies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from ggcam.metrics.ranking import check_scores

BINS = 10
"""Number of bins of equal width that confidences are sorted into."""


def brier_per_case(probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Compute the squared distance of each case's probabilities from the truth, summed over the classes (Brier, 1950).

    Args:
        probabilities: shape (n, k).
        labels: shape (n,), class index of each case.

    Returns:
        Shape (n,), 0 to 2, lower is better; equal probabilities for k classes score 1 - 1/k. The mean is the Brier
        score.

    Raises:
        ValueError: a probability is not finite, or a label is not a column of `probabilities`.
    """
    check_scores(probabilities, labels)
    return ((probabilities - np.eye(probabilities.shape[1])[labels]) ** 2).sum(axis=1)


def top_label(
    probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Return the confidence of each prediction, and whether it is correct.

    Args:
        probabilities: shape (n, k).
        labels: shape (n,), class index of each case.

    Returns:
        Probability of the predicted class, shape (n,), and whether that class is the true one, shape (n,).

    Raises:
        ValueError: a probability is not finite, or a label is not a column of `probabilities`.
    """
    check_scores(probabilities, labels)
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == labels


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """Confidence and accuracy, bin by bin.

    Attributes:
        edges: shape (bins + 1,), from 0 to 1.
        cases: shape (bins,), number of cases in each bin.
        confidence: shape (bins,), mean confidence; NaN in an empty bin.
        accuracy: shape (bins,), fraction of correct cases; NaN in an empty bin.
    """

    edges: Float[np.ndarray, " edges"]
    cases: Int[np.ndarray, " bins"]
    confidence: Float[np.ndarray, " bins"]
    accuracy: Float[np.ndarray, " bins"]


def reliability_curve(
    confidence: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"], bins: int = BINS
) -> ReliabilityCurve:
    """Sort cases into bins of equal width by confidence.

    Args:
        confidence: shape (n,), 0 to 1: of the predicted class (`top_label`), or of one class.
        right: shape (n,), whether the prediction is correct, or the case belongs to the class.
        bins: number of bins; each includes its upper edge, the first one its lower edge as well.

    Returns:
        The curve.

    Raises:
        ValueError: a confidence is not between 0 and 1.
    """
    place = bin_of(confidence, bins)
    cases = np.bincount(place, minlength=bins)

    def mean(values: np.ndarray) -> np.ndarray:
        total = np.bincount(place, weights=values, minlength=bins)
        return np.divide(total, cases, out=np.full(bins, np.nan), where=cases > 0)

    return ReliabilityCurve(np.linspace(0, 1, bins + 1), cases, mean(confidence), mean(right.astype(np.float64)))


def expected_calibration_error(
    confidence: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"], bins: int = BINS
) -> float:
    """Compute the mean gap between confidence and accuracy, weighted by cases per bin (Naeini et al., 2015, eq. 3).

    Even perfectly calibrated probabilities score above 0 in a small set, where the accuracy of each bin varies by
    chance.

    Args:
        confidence: shape (n,), 0 to 1.
        right: shape (n,), whether the prediction is correct.
        bins: number of bins.

    Returns:
        0 to 1; NaN without cases.

    Raises:
        ValueError: a confidence is not between 0 and 1.
    """
    if not len(confidence):
        return float("nan")
    curve = reliability_curve(confidence, right, bins)
    return float(np.nansum(curve.cases * np.abs(curve.accuracy - curve.confidence)) / len(confidence))


def bin_of(confidence: Float[np.ndarray, " n"], bins: int) -> Int[np.ndarray, " n"]:
    """Return the bin of each confidence; upper edges belong to the bin below.

    Args:
        confidence: shape (n,), 0 to 1.
        bins: number of bins.

    Returns:
        Shape (n,), 0 to bins - 1.

    Raises:
        ValueError: a confidence is not between 0 and 1.
    """
    bad = np.flatnonzero(~((confidence >= 0) & (confidence <= 1)))
    if len(bad):
        raise ValueError(
            f"a confidence lies between 0 and 1; {len(bad)} of {len(confidence)} do not, the first is "
            f"case {bad[0]} with {confidence[bad[0]]}"
        )
    return np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence, side="left")
