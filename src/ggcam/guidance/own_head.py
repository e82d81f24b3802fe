"""`abn`, `gaze-attention` and `mil`: networks whose head looks at some cells more than at others, as humans do."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from ggcam.gaze.maps import as_peak
from ggcam.guidance.base import Guidance
from ggcam.guidance.cam_maps import attended
from ggcam.guidance.functional import divergence, squared_error
from ggcam.guidance.options import Fraction
from ggcam.models.cam import CAMOutput
from ggcam.models.heads import absence_surprise


class AttentionBranchGuidance(Guidance):
    """An attention branch, whose map strengthens the features, resembles the attention.

    Fukui et al., "Attention Branch Network" (CVPR 2019), with human maps as in Mitsuhara et al., "Embedding human
    knowledge into deep neural network via attention map" (2019). The distance is the mean squared error, the attention
    having maximum 1; both classifiers of the network are trained. Its head is an
    :class:`ggcam.models.heads.AttentionBranchHead`.

    Args:
        weight: weight of the guidance term in the total loss.
    """

    source = "Fukui et al., CVPR 2019; Mitsuhara et al., 2019"
    head = "attention-branch"
    compares = "case"

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Compute the mean squared error between the branch's map and the attention of each case, 0 to 1.

        See :meth:`Guidance.dissimilarity`.
        """
        return squared_error(output.extra["attention_logits"].sigmoid(), as_peak(density))

    def extra_loss(self, output: CAMOutput, classify: Callable[[Tensor], Tensor]) -> Tensor:
        """Compute the classification loss of the branch; see :meth:`Guidance.extra_loss`."""
        return classify(output.extra["branch_logits"])


class GazeAttentionGuidance(Guidance):
    """The weights by which the network pools its features resemble the attention.

    The Kullback-Leibler divergence of the pooling weights from the attention map. The network has an
    :class:`ggcam.models.heads.AttentionPoolHead`. Attention pooling with human attention as its target has no one
    source; this form is this project's.

    Args:
        weight: weight of the guidance term in the total loss.
    """

    source = "this project"
    head = "attention-pool"
    compares = "case"

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Compute the divergence of the pooling weights from the attention of each case, 0 or more, in nats.

        See :meth:`Guidance.dissimilarity`.
        """
        return divergence(output.extra["pooling"].clamp_min(1e-12).log(), density)


class MILGuidance(Guidance):
    """Multiple-instance learning: the cells inside the attended area show the class, those outside do not.

    `-log(prod inside p * prod outside (1 - p))` of the cells' probabilities. Bigolin Lanfredi et al., "Localization
    supervision of chest X-ray classifiers using label-specific eye-tracking annotation" (2023). The network has a
    :class:`ggcam.models.heads.MILHead`. Three things differ: a case with attention keeps its classification loss, which
    this loss there replaces; there is no second decoder for the whole gaze; and the logarithm is averaged over the
    cells instead of summed, so that its weight does not depend on the grid.

    Args:
        weight: weight of the guidance term in the total loss.
        threshold: fraction of the attention's maximum from which on a cell is inside; 0.15 in the paper.
    """

    source = "Bigolin Lanfredi et al., 2023"
    head = "mil"

    def __init__(self, weight: float = 1.0, threshold: Fraction = 0.15):
        super().__init__(weight)
        self.threshold = threshold

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Compute the mean negative logarithm of the cells' probabilities of each case, 0 or more.

        See :meth:`Guidance.dissimilarity`.
        """
        cells = output.cam_for_labels(labels)
        # p of a cell is at most 1 - q, by which it is divided: a cell that is sure costs nothing.
        presence_surprise = -functional.logsigmoid(cells)
        inside = attended(density, self.threshold)
        return torch.where(inside, presence_surprise, absence_surprise(cells)).mean(dim=(1, 2))
