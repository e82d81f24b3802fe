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
from ggcam.models.cam import CAMOutput
from ggcam.models.heads import MIL_FLOOR


class AttentionBranchGuidance(Guidance):
    """The map of an attention branch network resembles the attention; both of its classifiers are trained.

    Fukui et al., "Attention Branch Network" (CVPR 2019), with human maps as in Mitsuhara et al., "Embedding human
    knowledge into deep neural network via attention map" (2019), whose distance is the mean squared error. The network
    has an :class:`ggcam.models.heads.AttentionBranchHead`.

    Args:
        weight: weight of the guidance term in the total loss.
    """

    head = "attention-branch"
    compares = "case"

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Compute the mean squared error between the branch's map and the attention of each case, 0 to 1.

        Args:
            output: output of the model.
            labels: class index of each case; not used.
            density: attention map of each case.

        Returns:
            Shape (b,).
        """
        return (output.extra["attention_logits"].sigmoid() - as_peak(density)).square().mean(dim=(1, 2))

    def extra_loss(self, output: CAMOutput, classify: Callable[[Tensor], Tensor]) -> Tensor:
        """Compute the classification loss of the branch.

        Args:
            output: output of the model.
            classify: the classification loss as a function of logits.

        Returns:
            A scalar.
        """
        return classify(output.extra["branch_logits"])


class GazeAttentionGuidance(Guidance):
    """The weights with which the network pools its features are those with which humans looked.

    The divergence of the pooling weights from the attention map. The network has an
    :class:`ggcam.models.heads.AttentionPoolHead`.

    Args:
        weight: weight of the guidance term in the total loss.
    """

    head = "attention-pool"
    compares = "case"

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Compute the divergence of the pooling weights from the attention of each case.

        Args:
            output: output of the model.
            labels: class index of each case; not used.
            density: attention map of each case.

        Returns:
            Shape (b,), 0 or more, in nats.
        """
        log_pooling = output.extra["pooling"].clamp_min(1e-12).log()
        return functional.kl_div(log_pooling, density, reduction="none").sum(dim=(1, 2))


class MILGuidance(Guidance):
    """`-log(prod inside p * prod outside (1 - p))` of the cells' probabilities; see Bigolin Lanfredi et al. (2023).

    "Localization supervision of chest X-ray classifiers using label-specific eye-tracking annotation". The network has
    a :class:`ggcam.models.heads.MILHead`. Two things differ: a case with attention keeps its image loss, which there
    replaces it; and there is no second decoder for the whole gaze. The logarithm is averaged over the cells, so that
    its weight does not depend on the grid.

    Args:
        weight: weight of the guidance term in the total loss.
        threshold: fraction of the attention's maximum from which on a cell is inside; 0.15 in the paper.
    """

    head = "mil"

    def __init__(self, weight: float = 1.0, threshold: float = 0.15):
        super().__init__(weight)
        self.threshold = threshold

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Compute the mean negative logarithm of the cells' probabilities of each case.

        Args:
            output: output of the model.
            labels: class index of each case.
            density: attention map of each case.

        Returns:
            Shape (b,), 0 or more.
        """
        cells = output.cam_for_labels(labels)
        floor = MIL_FLOOR ** (1 / cells[0].numel()) if len(cells) else 1.0
        probability = (1 - floor) * cells.sigmoid()
        inside = attended(density, self.threshold)
        # p of a cell is at most 1 - floor, by which it is divided: a cell that is sure costs nothing.
        of_cell = torch.where(inside, functional.logsigmoid(cells), torch.log1p(-probability))
        return -of_cell.mean(dim=(1, 2))
