"""How well probabilities match observed frequencies."""

from __future__ import annotations

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
