"""Classification heads that weigh the cells of the grid; each returns a CAM whose cells explain the logits.

:class:`ggcam.models.cam.CAMHead` weighs all cells the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ggcam.models.cam import CAMHead, CAMOutput

MIL_FLOOR = 1e-9
"""Probability that no cell shows a class where all of them do; see :class:`MILHead`."""

_TINY = torch.finfo(torch.float32).tiny


class AttentionPoolHead(CAMHead):
    """A head that pools features with weights which the network computes for each image.

    `logit_k = sum_uv a(u, v) sum_c w_kc f_c(u, v) + b_k`, where a is a softmax over the cells. The CAM is the summand
    times the number of cells, so that its mean plus the bias is the logit, as in :class:`ggcam.models.cam.CAMHead`.

    Args:
        num_features: number of channels of the features.
        num_classes: number of classes.
    """

    def __init__(self, num_features: int, num_classes: int):
        super().__init__(num_features, num_classes)
        self.score = nn.Conv2d(num_features, 1, 1)

    def forward(self, features: Float[Tensor, "b c h w"]) -> CAMOutput:
        """Compute CAM and logits from features.

        Args:
            features: (b, c, h, w).

        Returns:
            Logits and CAM; `extra["pooling"]` (b, h, w) holds the weights, which sum to 1.
        """
        with torch.autocast(features.device.type, enabled=False):
            features = features.float()
            pooling = self.score(features)[:, 0].flatten(1).softmax(dim=1).unflatten(1, features.shape[-2:])
            evidence = torch.einsum("bchw,kc->bkhw", features, self.weight.float())
            cam = evidence * pooling[:, None] * pooling[0].numel()
            logits = cam.mean(dim=(2, 3)) + self.bias.float()
        return CAMOutput(logits, cam, features, {"pooling": pooling})


class AttentionBranchHead(CAMHead):
    """The attention branch network: a map from a branch of its own strengthens the features.

    Fukui et al., "Attention Branch Network" (CVPR 2019). The branch computes K class maps; their means are logits of
    its own, and a convolution of them gives one map A from 0 to 1. The classifier sees `f * (1 + A)`. In the paper both
    have a residual stage of their own, and A has a batch norm; here the branch follows the last features, so that any
    network can have it.

    Args:
        num_features: number of channels of the features.
        num_classes: number of classes.
    """

    def __init__(self, num_features: int, num_classes: int):
        super().__init__(num_features, num_classes)
        self.branch = nn.Sequential(
            nn.BatchNorm2d(num_features),
            nn.Conv2d(num_features, num_classes, 1, bias=False),
            nn.BatchNorm2d(num_classes),
            nn.ReLU(),
        )
        self.class_maps = nn.Conv2d(num_classes, num_classes, 1)
        self.attention = nn.Conv2d(num_classes, 1, 3, padding=1)

    def forward(self, features: Float[Tensor, "b c h w"]) -> CAMOutput:
        """Compute CAM and logits from features.

        Args:
            features: (b, c, h, w).

        Returns:
            Logits and CAM of the strengthened features; `extra` holds the map "attention_logits" (b, h, w), whose
            sigmoid is A, and the "branch_logits" (b, k).
        """
        with torch.autocast(features.device.type, enabled=False):
            features = features.float()
            hidden = self.branch(features)
            attention_logits = self.attention(hidden)
            output = super().forward(features * (1 + attention_logits.sigmoid()))
        extra = {"attention_logits": attention_logits[:, 0], "branch_logits": self.class_maps(hidden).mean(dim=(2, 3))}
        return output._replace(extra=extra)


class MILHead(CAMHead):
    """Multiple-instance learning: an image shows a class if some cell does.

    `p(image) = 1 - prod_uv (1 - p(u, v))`, as in Bigolin Lanfredi et al. (2023). So that the product does not vanish,
    `1 - p(u, v)` is squeezed into [q, 1]; q is chosen such that all cells together reach 1e-9, which is the published
    0.98 on a grid of 32x32.

    Args:
        num_features: number of channels of the features.
        num_classes: number of classes.
    """

    def __init__(self, num_features: int, num_classes: int):
        super().__init__(num_features, num_classes)
        nn.init.constant_(self.bias, -4.0)  # so that p(image) starts near 0.3 on any usual grid

    def start_at(self, logits: Float[Tensor, " k"]) -> None:
        """Leave the bias as it is: it belongs to each cell, and the logits of an image are not its sum.

        Args:
            logits: not used.
        """

    def forward(self, features: Float[Tensor, "b c h w"]) -> CAMOutput:
        """Compute CAM and logits from features.

        Args:
            features: (b, c, h, w).

        Returns:
            Logits of p(image), and as CAM the logits of p(u, v).
        """
        with torch.autocast(features.device.type, enabled=False):
            cam = (
                torch.einsum("bchw,kc->bkhw", features.float(), self.weight.float()) + self.bias.float()[:, None, None]
            )
            # Minus the logarithm of the probability that no cell shows the class.
            no_cell = absence_surprise(cam).sum(dim=(2, 3))
            # log(exp(s) - 1), without subtracting 1 from a number that is near it
            logits = no_cell / 2 + (2 * torch.sinh(no_cell / 2)).clamp_min(_TINY).log()
        return CAMOutput(logits, cam, features)


def absence_surprise(cam: Float[Tensor, "*b h w"]) -> Float[Tensor, "*b h w"]:
    """Compute -log(1 - p(u, v)) of each cell, squeezed as in :class:`MILHead`.

    Args:
        cam: logits of p(u, v).

    Returns:
        0 or more: how surprising it would be that a cell does not show the class.
    """
    log_floor = math.log(MIL_FLOOR) / (cam.shape[-2] * cam.shape[-1])
    # -log(1 - (1 - q) sigmoid(z)), without taking the logarithm of a number that rounds to 1
    return functional.softplus(cam) - functional.softplus(cam + log_floor)


HEADS: Mapping[str, type[CAMHead]] = {
    "cam": CAMHead,
    "attention-pool": AttentionPoolHead,
    "attention-branch": AttentionBranchHead,
    "mil": MILHead,
}
"""Name in a run's description of its network -> head."""
