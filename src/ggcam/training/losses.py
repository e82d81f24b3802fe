"""What is learned from labels: one class a case (b,), or 1, 0 and NaN (unknown) for each class (b, k).

Everything in which training tells the two apart stands here; which it is, the number of dimensions says.
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
    """Cross entropy, mean over the cases; with several labels binary cross entropy, mean over what is known.

    0, with a gradient of 0, where nothing is known.
    """
    if labels.ndim == 1:
        return functional.cross_entropy(logits, labels)
    each = _entries(logits, labels)
    return each.sum() / labels.isfinite().sum().clamp_min(1)


def loss_per_case(logits: Float[Tensor, "b k"], labels: Labels) -> Float[Tensor, " b"]:
    """The same loss case by case: weighed by `known_entries`, their mean is that of all cases together."""
    if labels.ndim == 1:
        return functional.cross_entropy(logits, labels, reduction="none")
    return _entries(logits, labels).sum(dim=1) / labels.isfinite().sum(dim=1).clamp_min(1)


def known_entries(labels: prepared.Labels) -> Int[np.ndarray, " n"]:
    """How much is known of each case: 1, or the number of its labels that are not unknown."""
    return np.ones(len(labels), dtype=np.int64) if labels.ndim == 1 else np.isfinite(labels).sum(axis=1)


def scores(logits: Float[np.ndarray, "n k"], labels: prepared.Labels) -> tuple[float, float]:
    """Macro AUROC and accuracy of some cases; NaN where undefined.

    With several labels the mean goes over the labels of which both values are known, and accuracy is the share of what
    is known that a threshold of 0.5 on the probability gets right.
    """
    if labels.ndim == 1:
        return macro_auroc(softmax(logits, axis=1), labels), float((logits.argmax(axis=1) == labels).mean())
    known = np.isfinite(labels)
    right = (logits > 0) == (labels == 1)
    return macro_auroc_multilabel(logits, labels), float(right[known].mean()) if known.any() else float("nan")


def _entries(logits: Float[Tensor, "b k"], labels: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
    """Binary cross entropy of each entry, 0 where unknown."""
    # NaN goes before the loss, not after it: its gradient would be NaN however it is masked.
    each = functional.binary_cross_entropy_with_logits(logits, labels.nan_to_num(), reduction="none")
    return each * labels.isfinite()
