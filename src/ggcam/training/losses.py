"""Classification losses and metrics of training: labels are a class index per case (b,), or 1, 0 or NaN (b, k).

The number of dimensions tells the two kinds of labels apart; NaN is unknown. Class weights and label smoothing change
the loss of the training cases only: validation losses stay comparable between runs.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.special import softmax
from torch import Tensor
from torch.nn import functional

from ggcam.data import prepared
from ggcam.guidance.pairs import Labels
from ggcam.metrics.classification import macro_auroc
from ggcam.metrics.multilabel import macro_auroc_multilabel


def classification_loss(
    logits: Float[Tensor, "b k"],
    labels: Labels,
    class_weights: Float[Tensor, " k"] | None = None,
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Compute the cross entropy, averaged over cases; with several labels the binary one, over known entries.

    Args:
        logits: output of the model.
        labels: class index of each case; or 1, 0 or NaN (unknown) for each class.
        class_weights: factor on the loss of the cases of each class; with several labels, on the loss of the entries
            that are 1. None weighs all alike. See :func:`balanced_class_weights`.
        label_smoothing: fraction of the target that is spread evenly over all classes; with several labels, over 1 and
            0 (Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016).

    Returns:
        A scalar; 0, with a gradient of 0, if no entry is known.
    """
    if labels.ndim == 1:
        if class_weights is None:
            return functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
        per_case = functional.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)
        return (class_weights[labels] * per_case).mean()
    per_entry = _entry_losses(logits, labels, class_weights, label_smoothing)
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


def balanced_class_weights(labels: prepared.Labels, num_classes: int) -> Float[Tensor, " k"]:
    """Return weights of the classes by which rare classes count as much as frequent ones.

    Args:
        labels: labels of the training cases: class index of each case; or 1, 0 or NaN (unknown) for each class.
        num_classes: number of classes k.

    Returns:
        Shape (k,). With one class per case, the inverse of the frequency, so that the mean over the cases is 1 (as
        "balanced" in scikit-learn). With several labels, the number of cases without the label by that of cases with
        it; 1 where either is 0. Unknown labels do not count.

    Example:
        >>> balanced_class_weights(np.array([0, 0, 0, 1]), 2)
        tensor([0.6667, 2.0000])
    """
    if labels.ndim == 1:
        counts = np.bincount(labels, minlength=num_classes)
        weights = len(labels) / (num_classes * counts.clip(1))
    else:
        positive, negative = (labels == 1).sum(axis=0), (labels == 0).sum(axis=0)
        weights = np.where((positive > 0) & (negative > 0), negative / positive.clip(1), 1.0)
    return torch.tensor(weights, dtype=torch.float32)


def log_odds(labels: Float[np.ndarray, "n k"], class_weights: Float[Tensor, " k"] | None = None) -> Float[Tensor, " k"]:
    """Return the log odds of each label in the training cases: what a network answers that knows nothing of the image.

    Args:
        labels: 1, 0 or NaN (unknown) for each class of each training case.
        class_weights: weights of the entries that are 1 in the training loss; None weighs all alike.

    Returns:
        Shape (k,). Half a case is added to each side, so that a label that no case or every case has stays finite.

    Example:
        >>> log_odds(np.array([[1.0], [0.0], [0.0], [0.0], [np.nan]])).round(decimals=2)
        tensor([-0.8500])
    """
    positive, negative = (labels == 1).sum(axis=0) + 0.5, (labels == 0).sum(axis=0) + 0.5
    odds = torch.tensor(np.log(positive / negative), dtype=torch.float32)
    return odds if class_weights is None else odds + class_weights.log()


def _entry_losses(
    logits: Float[Tensor, "b k"],
    labels: Float[Tensor, "b k"],
    class_weights: Float[Tensor, " k"] | None = None,
    label_smoothing: float = 0.0,
) -> Float[Tensor, "b k"]:
    """Return the binary cross entropy of each entry, 0 where unknown."""
    # NaN is replaced before the loss: masked after it, its gradient would still be NaN.
    targets = labels.nan_to_num() * (1 - label_smoothing) + label_smoothing / 2
    per_entry = functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=class_weights, reduction="none")
    return per_entry * labels.isfinite()
