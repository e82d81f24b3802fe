"""Temperature scaling (Guo et al., 2017): one factor that makes probabilities match observed frequencies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax

from ggcam.metrics.ranking import check_labels, check_scores

MAX_TEMPERATURE = 20.0
"""Temperatures are sought from 1/20 to 20. Cases that the logits separate perfectly would drive it to 0."""


def fit_temperature(logits: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> float:
    """Fit the temperature T for which softmax(logits / T) has the least negative log-likelihood (Guo et al., 2017).

    Args:
        logits: shape (n, k), finite, of cases that training did not use.
        labels: shape (n,), class index of each case.

    Returns:
        T, from 1/20 to 20: above 1 for logits that are over-confident, below 1 for under-confident ones. 1 where every
        T is equally good.

    Raises:
        ValueError: there are no cases, a logit is not finite, or a label is not a column of `logits`.

    Example:
        >>> logits = np.array([[4.0, 0.0], [4.0, 0.0], [0.0, 4.0], [0.0, 4.0]])
        >>> round(fit_temperature(logits, np.array([0, 1, 1, 1])), 2)  # 98 % sure, and right in three of four cases
        3.64
    """
    check_scores(logits, labels)
    logits = logits.astype(np.float64)
    rows = np.arange(len(labels))
    return _fit(lambda temperature: -log_softmax(logits / temperature, axis=1)[rows, labels].mean())


def fit_label_temperatures(
    logits: Float[np.ndarray, "n k"], labels: Float[np.ndarray, "n k"]
) -> Float[np.ndarray, " k"]:
    """Fit a temperature for the sigmoid of each label on the cases in which the label is known.

    Args:
        logits: shape (n, k), finite, of cases that training did not use.
        labels: shape (n, k), 1, 0 or NaN (unknown).

    Returns:
        Shape (k,); 1 for a label without positive or without negative cases, which says nothing about confidence.

    Raises:
        ValueError: there are no cases, a logit is not finite, or a label is not 1, 0 or NaN.
    """
    check_labels(logits, labels)

    def fit(scores: Float[np.ndarray, " m"], positive: Bool[np.ndarray, " m"]) -> float:
        if positive.all() or not positive.any():
            return 1.0
        signed = np.where(positive, scores, -scores)
        return _fit(lambda temperature: -log_expit(signed / temperature).mean())

    known = np.isfinite(labels)
    return np.array([fit(logits[on, k].astype(np.float64), labels[on, k] == 1) for k, on in enumerate(known.T)])


def nll_per_case(probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Compute the negative log-likelihood of each case: minus the logarithm of the true class's probability.

    Args:
        probabilities: shape (n, k).
        labels: shape (n,), class index of each case.

    Returns:
        Shape (n,), 0 or more, lower is better; a probability of 0 counts as the smallest positive one.

    Raises:
        ValueError: a probability is not finite, or a label is not a column of `probabilities`.
    """
    check_scores(probabilities, labels)
    truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(np.clip(truth, np.finfo(np.float64).tiny, 1))


def _fit(loss: Callable[[float], float]) -> float:
    """Minimise a loss of the temperature. It is convex in 1/T, so its only minimum in log T is found."""
    bound = np.log(MAX_TEMPERATURE)
    found = minimize_scalar(lambda log_t: loss(np.exp(log_t)), bounds=(-bound, bound), method="bounded")
    temperature = float(np.exp(found.x))
    return temperature if loss(temperature) < loss(1.0) - 1e-12 else 1.0
