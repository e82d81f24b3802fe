"""`attention-consistency` and `composite`: several or smoothed comparisons of the CAM with the attention."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ggcam.gaze.maps import as_density, as_peak
from ggcam.guidance.base import Guidance
from ggcam.guidance.cam_maps import centre_of_mass, peak_scaled, smooth
from ggcam.guidance.functional import cam_gaze_loss, squared_error
from ggcam.guidance.options import Fraction, Positive
from ggcam.models.cam import CAMOutput


class AttentionConsistencyGuidance(Guidance):
    """Mean squared error between the smoothed CAM and the attention, weighted by a learned uncertainty.

    `MSE / (2 s^2) + log s` in the cases with attention. The CAM is cut off at 0, blurred by 3x3 cells and divided by
    its maximum. Attention consistency is that of Wang et al. (GA-Net, IEEE TMI 2022); the learned s is that of the
    re-implementation by Bigolin Lanfredi et al. (2023). The loss may be negative.

    Args:
        weight: factor on the whole term.
        sigma: initial value of s.
    """

    source = "Wang et al., IEEE TMI 2022"

    def __init__(self, weight: float = 1.0, sigma: Positive = 0.5):
        super().__init__(weight)
        self.log_sigma = nn.Parameter(torch.tensor(float(sigma)).log())

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Compute the weighted mean squared error of each case over its grid, from log s on.

        See :meth:`Guidance.dissimilarity`.
        """
        smoothed = peak_scaled(smooth(output.cam_for_labels(labels).clamp_min(0)))
        return squared_error(smoothed, as_peak(density)) * (-2 * self.log_sigma).exp() / 2 + self.log_sigma


class CompositeGuidance(Guidance):
    """Sum of four distances between CAM and attention, with a weight that rises.

    `MSE + KL + (1 - r) + distance of the centres of mass`, as described in the abstract of arXiv 2508.13068, which was
    withdrawn; all details are chosen here. For the MSE the CAM is cut off at 0 and divided by its maximum, for the
    centre of mass by its sum; KL is that of its softmax, and r is Pearson's. The distance is relative to the grid's
    diagonal, the image being a square.

    Args:
        weight: final weight of the guidance term in the total loss.
        ramp: fraction of the training in which the weight rises from 0, in a straight line.
    """

    source = "arXiv 2508.13068, 2025"

    def __init__(self, weight: float = 1.0, ramp: Fraction = 0.3):
        super().__init__(weight)
        self.ramp = ramp

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Compute the sum of the four terms of each case, 0 or more; see :meth:`Guidance.dissimilarity`."""
        cam = output.cam_for_labels(labels)
        evidence = peak_scaled(cam)
        distance = (centre_of_mass(as_density(evidence)) - centre_of_mass(density)).square().sum(dim=1)
        return (
            squared_error(evidence, as_peak(density))
            + cam_gaze_loss(cam, density, "kl", reduction="none")
            + cam_gaze_loss(cam, density, "cc", reduction="none")
            + (distance.clamp_min(1e-12) / 2).sqrt()
        )

    def combine(self, classification: Float[Tensor, ""], guidance: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Add the two losses, the second with the weight of this step; see :meth:`Guidance.combine`."""
        rise = min(1.0, self.progress / self.ramp) if self.ramp > 0 else 1.0
        return classification + self.weight * rise * guidance
