"""Classification losses and metrics of training: labels are a class index per case (b,), or 1, 0 or NaN (b, k).

The number of dimensions tells the two kinds of labels apart; NaN is unknown.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.special import softmax
from torch import Tensor
from torch.nn import functional

from ggcam.data import prepared
from ggcam.guidance.pairs import Labels
from ggcam.metrics.classification import macro_auroc
from ggcam.metrics.multilabel import macro_auroc_multilabel


def classification_loss(logits: Float[Tensor, "b k"], labels: Labels) -> Float[Tensor, ""]:
    """Compute the cross entropy, averaged over cases; with several labels the binary one, over known entries.

    Args:
        logits: output of the model.
        labels: class index of each case; or 1, 0 or NaN (unknown) for each class.

    Returns:
        A scalar; 0, with a gradient of 0, if no entry is known.
    """
    if labels.ndim == 1:
        return functional.cross_entropy(logits, labels)
    per_entry = _entry_losses(logits, labels)
    return per_entry.sum() / labels.isfinite().sum().clamp_min(1)


def loss_per_case(logits: Float[Tensor, "b k"], labels: Labels) -> Float[Tensor, " b"]:
    """Compute the same loss for each case. Its mean weighted by `count_known_entries` is `classification_loss`.

    Args:
        logits: output of the model.
        labels: class index of each case; or 1, 0 or NaN (unknown) for each class.

    Returns:
        Shape (b,).
    """
    if labels.ndim == 1:
        return functional.cross_entropy(logits, labels, reduction="none")
    return _entry_losses(logits, labels).sum(dim=1) / labels.isfinite().sum(dim=1).clamp_min(1)


def count_known_entries(labels: prepared.Labels) -> Int[np.ndarray, " n"]:
    """Count the known labels of each case.

    Args:
        labels: class index of each case; or 1, 0 or NaN (unknown) for each class.

    Returns:
        Shape (n,): 1 throughout if every case has one class.
    """
    return np.ones(len(labels), dtype=np.int64) if labels.ndim == 1 else np.isfinite(labels).sum(axis=1)


def macro_auroc_and_accuracy(logits: Float[np.ndarray, "n k"], labels: prepared.Labels) -> tuple[float, float]:
    """Compute macro AUROC and accuracy.

    With several labels the macro AUROC averages over the labels that have both values, and accuracy is the fraction of
    known entries that a threshold of 0.5 on the probability gets right.

    Args:
        logits: output of the model.
        labels: class index of each case; or 1, 0 or NaN (unknown) for each class.

    Returns:
        Macro AUROC and accuracy, each NaN where undefined.
    """
    if labels.ndim == 1:
        return macro_auroc(softmax(logits, axis=1), labels), float((logits.argmax(axis=1) == labels).mean())
    known = np.isfinite(labels)
    correct = (logits > 0) == (labels == 1)
    return macro_auroc_multilabel(logits, labels), float(correct[known].mean()) if known.any() else float("nan")


def _entry_losses(logits: Float[Tensor, "b k"], labels: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
    """Return the binary cross entropy of each entry, 0 where unknown."""
    # NaN is replaced before the loss: masked after it, its gradient would still be NaN.
    per_entry = functional.binary_cross_entropy_with_logits(logits, labels.nan_to_num(), reduction="none")
    return per_entry * labels.isfinite()
