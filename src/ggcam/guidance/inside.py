"""`energy`, `haics` and `rrr-star`: the evidence for the class lies inside the attended area.

Three of the losses that Rao et al., "Studying How to Efficiently and Effectively Guide Models with Explanations"
(ICCV 2023) compare, on the CAM of the last features, which they find sufficient. A cell is inside if its attention is
at least `threshold` of the map's maximum: all of a box or a mask, and gaze without its faint surroundings.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ggcam.guidance.base import Guidance
from ggcam.guidance.cam_maps import attended, peak_scaled
from ggcam.guidance.options import Fraction
from ggcam.models.cam import CAMOutput

_LEAST_EVIDENCE = 1e-3
"""Evidence that a cell without any counts as, so that its logarithm is finite."""


class InsideGuidance(Guidance):
    """The common part: the CAM's evidence for the class against the attended cells.

    Args:
        weight: weight of the guidance term in the total loss.
        threshold: fraction of the attention's maximum from which on a cell is inside.
    """

    def __init__(self, weight: float = 1.0, threshold: Fraction = 0.15):
        super().__init__(weight)
        self.threshold = threshold

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Compute the loss of each case, 0 or more; see :meth:`Guidance.dissimilarity`."""
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
    """Share of the evidence for the class that lies outside the attended area.

    `1 - sum(A inside) / sum(A)`, the energy pointing game as a loss. In the paper the inside of a box; `threshold`
    makes an area of gaze.

    Args:
        weight: weight of the guidance term in the total loss.
        threshold: fraction of the attention's maximum from which on a cell is inside.
    """

    source = "Rao et al., ICCV 2023"

    def compare(self, evidence: Float[Tensor, "b h w"], inside: Bool[Tensor, "b h w"]) -> Float[Tensor, " b"]:
        """Compute the share of the evidence outside; 1 if there is no evidence. See :meth:`InsideGuidance.compare`."""
        total = evidence.sum(dim=(1, 2))
        return 1 - (evidence * inside).sum(dim=(1, 2)) / torch.where(total > 0, total, 1)


class HAICSGuidance(InsideGuidance):
    """Evidence for the class in every attended cell (binary cross entropy); outside, it is free.

    The mean of `-log(A)` over the attended cells, A being the evidence divided by its maximum. HAICS (Shen et al.,
    2021), in the form that Rao et al. call PPCE. A cell without evidence counts as 0.001; it has no gradient.

    Args:
        weight: weight of the guidance term in the total loss.
        threshold: fraction of the attention's maximum from which on a cell is inside.
    """

    source = "Shen et al., 2021; Rao et al., ICCV 2023"

    def compare(self, evidence: Float[Tensor, "b h w"], inside: Bool[Tensor, "b h w"]) -> Float[Tensor, " b"]:
        """Compute the mean of -log(A) over the attended cells. See :meth:`InsideGuidance.compare`."""
        surprise = -torch.log(evidence.clamp_min(_LEAST_EVIDENCE))
        return (surprise * inside).sum(dim=(1, 2)) / inside.sum(dim=(1, 2)).clamp_min(1)


class OutsideGuidance(InsideGuidance):
    """Little evidence for the class outside the attended area (squared); inside, it is free.

    `sum of A^2 outside / number of cells`, A being the evidence divided by its maximum. RRR*, the form of "right for
    the right reasons" (Ross et al., 2017) that Rao et al. use: on the evidence instead of the gradients of the image.
    The paper's sum is divided by the number of cells, so that its weight does not depend on the grid.

    Args:
        weight: weight of the guidance term in the total loss.
        threshold: fraction of the attention's maximum from which on a cell is inside.
    """

    source = "Ross et al., IJCAI 2017; Rao et al., ICCV 2023"

    def compare(self, evidence: Float[Tensor, "b h w"], inside: Bool[Tensor, "b h w"]) -> Float[Tensor, " b"]:
        """Compute the mean of A^2 over the grid, counted outside only. See :meth:`InsideGuidance.compare`."""
        return (evidence * ~inside).square().mean(dim=(1, 2))
