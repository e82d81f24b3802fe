"""`gazemtl`: heads of their own predict statistics of the attention."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from ggcam.guidance.base import Guidance
from ggcam.guidance.options import NonNegative
from ggcam.models.cam import CAMClassifier, CAMOutput

LOCATIONS = (3, 3)
"""Rows and columns in which the attention is located."""


class GazeMTLGuidance(Guidance):
    """Heads of their own predict from the pooled features where the attention is, and how diffuse.

    Saab et al., "Observational supervision for medical image classification using gaze data" (MICCAI 2021). The
    location is the share of the attention in each of 3x3 parts of the image (cross entropy), the diffusivity the
    entropy of the map relative to that of an even one (squared error); both definitions are chosen here. The paper's
    third task, the total viewing time, is left out, because boxes and masks have none.

    Args:
        weight: weight of the guidance term in the total loss.
        location: weight of the location in it.
        diffusivity: weight of the diffusivity in it.
    """

    source = "Saab et al., MICCAI 2021"
    compares = "case"

    def __init__(self, weight: float = 1.0, location: NonNegative = 0.5, diffusivity: NonNegative = 1.0):
        super().__init__(weight)
        self.location = location
        self.diffusivity = diffusivity
        self.heads = nn.Identity()

    def initialize(self, model: CAMClassifier) -> None:
        """Create the heads for the features of a network.

        Args:
            model: the network to train; it is not changed.
        """
        rows, columns = LOCATIONS
        self.heads = nn.Linear(model.backbone.num_features, rows * columns + 1)

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Compute the weighted losses of the two tasks of each case, 0 or more; see :meth:`Guidance.dissimilarity`."""
        predicted = self.heads(output.features.mean(dim=(2, 3))).float()
        location = functional.cross_entropy(predicted[:, :-1], located(density), reduction="none")
        diffusivity = (predicted[:, -1].sigmoid() - diffuseness(density)).square()
        return self.location * location + self.diffusivity * diffusivity


def located(density: Float[Tensor, "b h w"]) -> Float[Tensor, "b parts"]:
    """Compute the share of the attention in each of 3x3 parts of the image.

    Args:
        density: attention maps, each summing to 1.

    Returns:
        Shares of the parts, row by row, which sum to 1. Parts overlap where the grid is not divisible by 3.
    """
    parts = functional.adaptive_avg_pool2d(density[:, None], LOCATIONS).flatten(1)
    return parts / parts.sum(dim=1, keepdim=True).clamp_min(1e-12)


def diffuseness(density: Float[Tensor, "b h w"]) -> Float[Tensor, " b"]:
    """Compute the entropy of attention maps relative to that of an even map.

    Args:
        density: attention maps, each summing to 1.

    Returns:
        Shape (b,), from 0 (all in one cell) to 1 (even).
    """
    flat = density.flatten(1)
    return -torch.xlogy(flat, flat).sum(dim=1) / torch.log(torch.tensor(float(max(2, flat.shape[1]))))
