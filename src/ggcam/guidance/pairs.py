"""Which CAM is compared with which attention: one pair per case, or one per label that a case has."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ggcam.gaze.regions import Attention
from ggcam.models.cam import CAMOutput

Labels = Int[Tensor, " b"] | Float[Tensor, "b k"]
"""Class index of each case; or 1, 0 or NaN (unknown) for each class, if a case may belong to several or none."""


class Pairs(NamedTuple):
    """Pairs of a case and a label that it has, one row each.

    Attributes:
        output: output of the model for the case of each pair.
        label: (m,), class index of each pair.
        attention: what guides the CAM of each pair.
        case: (m,), index of each pair's case in the batch.
    """

    output: CAMOutput
    label: Int[Tensor, " m"]
    attention: Attention
    case: Int[Tensor, " m"]

    @classmethod
    def from_batch(
        cls, output: CAMOutput, labels: Labels, attention: Attention, present: Int[Tensor, "m 2"] | None = None
    ) -> Pairs:
        """Pair each case with its class and its whole attention; or, with several labels, with each label that it has.

        With several labels `attention.for_labels` decides what of a case's attention guides which label's CAM. A case
        without any label is in no pair.

        Args:
            output: output of the model.
            labels: class index of each case, or (b, k), 1, 0 or NaN (unknown) for each class.
            attention: attention of each case.
            present: index of the case and of the class of each label that is 1; None finds them, which makes the host
                wait for a GPU.

        Returns:
            The pairs.
        """
        if labels.ndim == 1:
            return cls.whole_cases(output, labels, attention)
        case, label = (torch.nonzero(labels == 1) if present is None else present).unbind(1)
        return cls(output.select(case), label, attention.for_labels(case, label), case)

    @classmethod
    def whole_cases(cls, output: CAMOutput, labels: Labels, attention: Attention) -> Pairs:
        """Pair each case with its whole attention, whatever its labels.

        Args:
            output: output of the model.
            labels: class index of each case; or (b, k), which leaves the pairs without a label: theirs is 0.
            attention: attention of each case.

        Returns:
            One pair per case.
        """
        case = torch.arange(len(labels), device=labels.device)
        return cls(output, labels if labels.ndim == 1 else torch.zeros_like(case), attention, case)

    def mean(self, values: Float[Tensor, " m"], counts: Bool[Tensor, " m"], cases: int) -> Float[Tensor, ""]:
        """Average over the pairs of each case, and then over all cases.

        Args:
            values: value of each pair.
            counts: which pairs count; a case without such a pair has the value 0.
            cases: number of cases in the batch.

        Returns:
            The mean over the cases.
        """
        zeros = torch.zeros(cases, device=values.device, dtype=values.dtype)
        total = zeros.index_add(0, self.case, torch.where(counts, values, 0))
        number = zeros.index_add(0, self.case, counts.to(values.dtype))
        return (total / number.clamp_min(1)).mean()
