"""Probabilities from logits, with NumPy alone: importing SciPy would take longer than predicting an image."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def scaled_probabilities(
    logits: Float[np.ndarray, "n k"], temperature: Float[np.ndarray, " k"] | float = 1.0, multi_label: bool = False
) -> Float[np.ndarray, "n k"]:
    """Compute probabilities from logits.

    Args:
        logits: shape (n, k).
        temperature: what logits are divided by, above 0: one number, or one per label of multi-label data.
        multi_label: whether a case may have several labels, or none.

    Returns:
        Shape (n, k), of the type of the logits: their softmax (rows sum to 1), or their sigmoid if multi-label.
    """
    scaled = (logits / np.asarray(temperature)).astype(logits.dtype)
    if multi_label:
        power = np.exp(-np.abs(scaled))  # at most 1, so that nothing overflows
        return np.where(scaled >= 0, 1, power) / (1 + power)
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
