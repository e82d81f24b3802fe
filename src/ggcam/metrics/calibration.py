"""Whether a probability of 80 % comes true 80 times in 100."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from ggcam.metrics.classification import check_scores

BINS = 10
"""Equal parts of [0, 1] into which confidences are sorted."""


def brier_per_case(probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Squared distance of each case's probabilities from the truth, summed over the classes; shape (n,), 0 to 2.

    Their mean is the Brier score (Brier, 1950); lower is better, and equal probabilities for k classes score 1 - 1/k.

    Raises:
        ValueError: a probability is not finite, or a label is no column of `probabilities`.
    """
    check_scores(probabilities, labels)
    return ((probabilities - np.eye(probabilities.shape[1])[labels]) ** 2).sum(axis=1)


def top_label(
    probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Probability of each case's predicted class, and whether the prediction is right.

    Raises:
        ValueError: a probability is not finite, or a label is no column of `probabilities`.
    """
    check_scores(probabilities, labels)
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == labels


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """Confidence against how often it is right, bin by bin.

    Attributes:
        edges: shape (bins + 1,), from 0 to 1.
        cases: shape (bins,), cases a bin.
        confidence: shape (bins,), mean confidence; NaN in an empty bin.
        accuracy: shape (bins,), share of right ones; NaN in an empty bin.
    """

    edges: Float[np.ndarray, " edges"]
    cases: Int[np.ndarray, " bins"]
    confidence: Float[np.ndarray, " bins"]
    accuracy: Float[np.ndarray, " bins"]


def reliability_curve(
    confidence: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"], bins: int = BINS
) -> ReliabilityCurve:
    """Sort cases into bins of confidence: of the predicted class (`top_label`), or of one class and whether it is true.

    Args:
        confidence: shape (n,), 0 to 1.
        right: shape (n,).
        bins: of equal width; each holds its upper edge, the first its lower one too.

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
    """Mean gap between a bin's confidence and accuracy, weighted by its cases, 0 to 1 (Naeini et al., 2015, eq. 3).

    Even a perfect forecaster scores above 0 in a small set, where each bin's accuracy is off by chance. NaN without
    cases.

    Raises:
        ValueError: a confidence is not between 0 and 1.
    """
    if not len(confidence):
        return float("nan")
    curve = reliability_curve(confidence, right, bins)
    return float(np.nansum(curve.cases * np.abs(curve.accuracy - curve.confidence)) / len(confidence))


def bin_of(confidence: Float[np.ndarray, " n"], bins: int) -> Int[np.ndarray, " n"]:
    """Bin of each confidence, 0 to bins - 1; upper edges belong to the bin below.

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
