"""Two losses weighted by learned uncertainties: the common part of `ggcam` and `original`."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ggcam.guidance.base import Guidance


class UncertaintyGuidance(Guidance):
    """`L = CE / sc^2 + log(1 + sc) + D / (2 sd^2) + log(1 + sd)` with learned `sc = exp(a)` and `sd = exp(b)`.

    Zhu, Salcudean, Rohling, "Gaze-Guided Class Activation Mapping" (arXiv 2202.07107). The paper's third parameter, k,
    is here as well; a subclass decides how D depends on it.

    Args:
        weight: factor on D.
        log_sigma_classification: initial value of a.
        log_sigma_guidance: initial value of b; the smaller, the more the gaze counts.
        log_sharpness: initial value of k.
    """

    def __init__(self, weight: float, log_sigma_classification: float, log_sigma_guidance: float, log_sharpness: float):
        super().__init__(weight)
        self.log_sigma_classification = nn.Parameter(torch.tensor(log_sigma_classification))
        self.log_sigma_guidance = nn.Parameter(torch.tensor(log_sigma_guidance))
        self.log_sharpness = nn.Parameter(torch.tensor(log_sharpness))

    def combine(self, classification: Float[Tensor, ""], guidance: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Combine the two losses with the learned uncertainties.

        Args:
            classification: the classifier's own loss.
            guidance: mean dissimilarity.

        Returns:
            The total loss.
        """
        return combine_by_uncertainty(
            classification, self.weight * guidance, self.log_sigma_classification, self.log_sigma_guidance
        )


def combine_by_uncertainty(
    classification: Float[Tensor, ""],
    guidance: Float[Tensor, ""],
    log_sigma_classification: Float[Tensor, ""],
    log_sigma_guidance: Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """Compute `CE / sc^2 + log(1 + sc) + D / (2 sd^2) + log(1 + sd)`.

    Args:
        classification: CE.
        guidance: D.
        log_sigma_classification: log sc.
        log_sigma_guidance: log sd.

    Returns:
        The total loss.
    """
    a, b = log_sigma_classification, log_sigma_guidance
    # exp(-2b) instead of 1 / sd^2: at the initial value of `original`, the gradient of the latter overflows.
    return classification * (-2 * a).exp() + torch.log1p(a.exp()) + guidance * (-2 * b).exp() / 2 + torch.log1p(b.exp())
