"""Two losses weighed by learned uncertainties: what `ggcam` and `original` have in common."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ggcam.guidance.base import Guidance


class UncertaintyGuidance(Guidance):
    """`L = CE / sc^2 + log(1 + sc) + D / (2 sd^2) + log(1 + sd)` with learned `sc = exp(a)` and `sd = exp(b)`.

    Zhu, Salcudean, Rohling, "Gaze-Guided Class Activation Mapping" (arXiv 2202.07107). The third parameter of the
    paper, k, is here too; what it does to D is up to the method.

    Args:
        weight: multiplies D.
        log_sigma_classification: start of a.
        log_sigma_guidance: start of b; the smaller, the more the gaze counts.
        log_sharpness: start of k.
    """

    def __init__(self, weight: float, log_sigma_classification: float, log_sigma_guidance: float, log_sharpness: float):
        super().__init__(weight)
        self.log_sigma_classification = nn.Parameter(torch.tensor(log_sigma_classification))
        self.log_sigma_guidance = nn.Parameter(torch.tensor(log_sigma_guidance))
        self.log_sharpness = nn.Parameter(torch.tensor(log_sharpness))

    def combine(self, classification: Float[Tensor, ""], guidance: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """The total loss, with the two learned uncertainties."""
        a, b = self.log_sigma_classification, self.log_sigma_guidance
        # exp(-2b) rather than 1 / sd^2: at the start value of `original`, the gradient of that overflows float32.
        return (
            classification * (-2 * a).exp()
            + torch.log1p(a.exp())
            + self.weight * guidance * (-2 * b).exp() / 2
            + torch.log1p(b.exp())
        )


def squared_error(cam: Float[Tensor, "b h w"], gaze: Float[Tensor, "b h w"]) -> Float[Tensor, " b"]:
    """Mean over the grid, for each case."""
    return (cam - gaze).square().mean(dim=(1, 2))
