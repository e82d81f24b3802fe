"""Thresholds of a score, chosen on one set of cases and evaluated on another."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float
from sklearn.metrics import roc_curve

from ggcam.metrics.bootstrap_statistics import WeightedStatistic, on_cases, weighted_mean
from ggcam.metrics.ranking import check_ordered

Aim = Literal["youden", "sensitivity_95"]
"""What a threshold is chosen for: the largest sensitivity + specificity - 1 (Youden, 1950), or a sensitivity of at
least 95 % at the best specificity."""

AIMS: tuple[Aim, ...] = get_args(Aim)
_MIN_SENSITIVITY = 0.95


def choose_threshold(scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], aim: Aim) -> float:
    """Choose the threshold of a score at which a case counts as positive: score >= threshold.

    The threshold lies in the middle between the lowest score that counts as positive and the next lower one, which
    carries over to new cases better than a score of one of these cases does.

    Args:
        scores: shape (n,), higher for positives; of cases that no metric is computed on.
        positive: shape (n,), whether each case is a positive.
        aim: what to choose for.

    Returns:
        The threshold; NaN without positives or without negatives. Where several are equally good, the highest.

    Raises:
        ValueError: a score is NaN.

    Example:
        >>> scores, positive = np.array([0.1, 0.2, 0.4, 0.8]), np.array([False, False, True, True])
        >>> round(choose_threshold(scores, positive, "youden"), 2)
        0.3
    """
    check_ordered(scores)
    if positive.all() or not positive.any():
        return float("nan")
    false_positive_rate, sensitivity, thresholds = roc_curve(positive, scores, drop_intermediate=False)
    if aim == "youden":
        chosen = int(np.argmax(sensitivity - false_positive_rate))
    else:
        chosen = int(np.argmax(sensitivity >= _MIN_SENSITIVITY))
    # The first point of the curve calls no case positive; it wins only where scores are no better than chance.
    chosen = max(chosen, 1)
    below = thresholds[chosen + 1] if chosen + 1 < len(thresholds) else thresholds[chosen]
    return float((thresholds[chosen] + below) / 2)


def operating_point(
    scores: Float[np.ndarray, " n"], labels: Float[np.ndarray, " n"], threshold: float
) -> dict[str, float | WeightedStatistic]:
    """Create the sensitivity and specificity at a threshold that was chosen on other cases.

    Args:
        scores: shape (n,), higher for positives.
        labels: shape (n,), 1, 0 or NaN (unknown).
        threshold: a case with this score or a higher one counts as positive.

    Returns:
        "threshold", and "sensitivity" and "specificity" as statistics of case weights.

    Raises:
        ValueError: a score is NaN.
    """
    check_ordered(scores)
    above, positive, negative = scores >= threshold, labels == 1, labels == 0
    return {
        "threshold": threshold,
        "sensitivity": on_cases(positive, weighted_mean(above[positive])),
        "specificity": on_cases(negative, weighted_mean(~above[negative])),
    }
