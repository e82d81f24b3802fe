"""`energy`, `haics` and `rrr-star`: the evidence for the class lies inside the attended area.

Three of the losses that Rao et al., "Studying How to Efficiently and Effectively Guide Models with Explanations"
(ICCV 2023) compare, on the CAM of the last features, which they find sufficient. A cell is inside if its attention is
at least `threshold` of the map's maximum; of a box or a mask that is the whole of it, gaze is cut off.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ggcam.guidance.base import Guidance
from ggcam.guidance.cam_maps import attended, peak_scaled
from ggcam.models.cam import CAMOutput


class InsideGuidance(Guidance):
    """The common part: the CAM's evidence for the class against the attended cells.

    Args:
        weight: weight of the guidance term in the total loss.
        threshold: fraction of the attention's maximum from which on a cell is inside.
    """

    def __init__(self, weight: float = 1.0, threshold: float = 0.15):
        super().__init__(weight)
        self.threshold = threshold

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Compute the loss of each case.

        Args:
            output: output of the model.
            labels: class index of each case.
            density: attention map of each case.

        Returns:
            Shape (b,), 0 or more.
        """
        return self.compare(peak_scaled(output.cam_for_labels(labels)), attended(density, self.threshold))

    @abstractmethod
    def compare(self, evidence: Float[Tensor, "b h w"], inside: Bool[Tensor, "b h w"]) -> Float[Tensor, " b"]:
        """Compare the evidence for the class with the attended cells.

        Args:
            evidence: CAM above 0, divided by its maximum.
            inside: which cells are attended.

        Returns:
            Shape (b,).
        """


class EnergyGuidance(InsideGuidance):
    """`1 - sum(A inside) / sum(A)`: the energy pointing game as a loss, A being the evidence for the class.

    Args:
        weight: weight of the guidance term in the total loss.
        threshold: fraction of the attention's maximum from which on a cell is inside.
    """

    def compare(self, evidence: Float[Tensor, "b h w"], inside: Bool[Tensor, "b h w"]) -> Float[Tensor, " b"]:
        """Compute the share of the evidence outside; 0 where there is none. See :meth:`InsideGuidance.compare`."""
        total = evidence.sum(dim=(1, 2))
        return (evidence * ~inside).sum(dim=(1, 2)) / torch.where(total > 0, total, 1)


class HAICSGuidance(InsideGuidance):
    """Binary cross entropy of the evidence with 1, over the attended cells only: what is outside is free.

    HAICS (Shen et al., 2021), in the form that Rao et al. call PPCE.

    Args:
        weight: weight of the guidance term in the total loss.
        threshold: fraction of the attention's maximum from which on a cell is inside.
    """

    def compare(self, evidence: Float[Tensor, "b h w"], inside: Bool[Tensor, "b h w"]) -> Float[Tensor, " b"]:
        """Compute the mean of -log(A) over the attended cells. See :meth:`InsideGuidance.compare`."""
        # A cell without evidence would have an infinite loss and no gradient; its gradient is that of the smallest.
        surprise = -torch.log(evidence.clamp_min(0) + 1e-3)
        return (surprise.clamp_min(0) * inside).sum(dim=(1, 2)) / inside.sum(dim=(1, 2)).clamp_min(1)


class OutsideGuidance(InsideGuidance):
    """RRR*: the mean square of the evidence outside; what is inside is free.

    The form of "right for the right reasons" (Ross et al., 2017) that Rao et al. use: on the evidence for the class
    instead of the gradients of the image.

    Args:
        weight: weight of the guidance term in the total loss.
        threshold: fraction of the attention's maximum from which on a cell is inside.
    """

    def compare(self, evidence: Float[Tensor, "b h w"], inside: Bool[Tensor, "b h w"]) -> Float[Tensor, " b"]:
        """Compute the mean of A^2 over the grid, counted outside only. See :meth:`InsideGuidance.compare`."""
        return (evidence * ~inside).square().mean(dim=(1, 2))
