"""`attention-consistency` and `composite`: several or smoothed comparisons of the CAM with the attention."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ggcam.gaze.maps import as_density, as_peak
from ggcam.guidance.base import Guidance
from ggcam.guidance.cam_maps import peak_scaled
from ggcam.guidance.functional import cam_gaze_loss, squared_error
from ggcam.guidance.res import smooth
from ggcam.models.cam import CAMOutput


class AttentionConsistencyGuidance(Guidance):
    """`MSE(smoothed CAM, attention) / (2 s^2) + log s` with a learned s; the CAM is above 0 and has maximum 1.

    Wang et al., "Knowledge-driven attention consistency" (GA-Net, IEEE TMI 2022); the learned uncertainty s is that of
    the re-implementation by Bigolin Lanfredi et al. (2023).

    Args:
        weight: factor on the whole term.
        sigma: initial value of s.
    """

    def __init__(self, weight: float = 1.0, sigma: float = 0.5):
        super().__init__(weight)
        self.log_sigma = nn.Parameter(torch.tensor(float(sigma)).log())

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Compute the mean squared error of each case over its grid, 0 to 1.

        Args:
            output: output of the model.
            labels: class index of each case.
            density: attention map of each case.

        Returns:
            Shape (b,).
        """
        smoothed = smooth(output.cam_for_labels(labels).clamp_min(0))
        return squared_error(peak_scaled(smoothed), as_peak(density))

    def combine(self, classification: Float[Tensor, ""], guidance: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Add the two losses, the second with its learned uncertainty.

        Args:
            classification: the classifier's own loss.
            guidance: mean dissimilarity.

        Returns:
            The total loss.
        """
        return classification + self.weight * (guidance * (-2 * self.log_sigma).exp() / 2 + self.log_sigma)


class CompositeGuidance(Guidance):
    """`MSE + KL + (1 - r) + distance of the centres of mass`, with a weight that rises.

    As described in arXiv 2508.13068 (withdrawn). The CAM is above 0; it has maximum 1 for the MSE and sum 1 for the
    centre of mass, whose distance is in units of the grid's diagonal.

    Args:
        weight: final weight of the guidance term in the total loss.
        ramp: fraction of the training in which the weight rises from 0, in a straight line.
    """

    def __init__(self, weight: float = 1.0, ramp: float = 0.3):
        super().__init__(weight)
        self.ramp = ramp

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Compute the sum of the four terms of each case.

        Args:
            output: output of the model.
            labels: class index of each case.
            density: attention map of each case.

        Returns:
            Shape (b,), 0 or more.
        """
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
        """Add the two losses, the second with the weight of this step.

        Args:
            classification: the classifier's own loss.
            guidance: mean dissimilarity.

        Returns:
            The total loss.
        """
        rise = min(1.0, self.progress / self.ramp) if self.ramp > 0 else 1.0
        return classification + self.weight * rise * guidance


def centre_of_mass(density: Float[Tensor, "b h w"]) -> Float[Tensor, "b 2"]:
    """Compute the centre of mass of maps.

    Args:
        density: maps that sum to 1, or to 0.

    Returns:
        Row and column of each as fractions of the grid, 0 to 1; 0 for a map that sums to 0.
    """
    rows = (torch.arange(density.shape[1], device=density.device) + 0.5) / density.shape[1]
    columns = (torch.arange(density.shape[2], device=density.device) + 0.5) / density.shape[2]
    return torch.stack([density.sum(dim=2) @ rows, density.sum(dim=1) @ columns], dim=1)
