"""`res-g`: robust to boundaries that were drawn coarsely."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from ggcam.guidance.base import Guidance
from ggcam.guidance.cam_maps import attended, peak_scaled, smooth
from ggcam.guidance.options import Fraction
from ggcam.models.cam import CAMOutput

_STEEPNESS = 5.0
_LEVELS = 21


class RobustGuidance(Guidance):
    """Absolute difference of the evidence for the class from the attended area, whose boundary may be imprecise.

    `relu(mean |tanh(5 (M - a)) - F| - eta) + mean |M - blurred F|`. Gao et al., "RES: A Robust Framework for Guiding
    Visual Explanation" (KDD 2022), with the Gaussian imputation (G); here a blur of 3x3 cells. M is the evidence for
    the class from 0 to 1; F is 1 inside the attended area and -1 outside in the first term, whose tanh has that range,
    and 1 and 0 in the second. The level a is solved for in each case: the one of 21 from 0 to 1 with the smallest first
    term. An error of up to eta is free.

    Args:
        weight: weight of the guidance term in the total loss.
        eta: error that imprecise boundaries may cause; 0.1 in the paper.
        threshold: fraction of the attention's maximum from which on a cell is inside.
    """

    source = "Gao et al., KDD 2022"

    def __init__(self, weight: float = 1.0, eta: Fraction = 0.1, threshold: Fraction = 0.15):
        super().__init__(weight)
        self.eta = eta
        self.threshold = threshold

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Compute the loss of each case, 0 or more; see :meth:`Guidance.dissimilarity`."""
        evidence = peak_scaled(output.cam_for_labels(labels))
        inside = attended(density, self.threshold)
        coarse = functional.relu(_least_error(evidence, inside) - self.eta)
        return coarse + (evidence - smooth(inside.to(evidence.dtype))).abs().mean(dim=(1, 2))


def _least_error(evidence: Float[Tensor, "b h w"], inside: Bool[Tensor, "b h w"]) -> Float[Tensor, " b"]:
    """Return the first term of each case at its best level a."""
    target = torch.where(inside, 1.0, -1.0)
    levels = torch.linspace(0, 1, _LEVELS, device=evidence.device)
    errors = [((_STEEPNESS * (evidence - level)).tanh() - target).abs().mean(dim=(1, 2)) for level in levels]
    return torch.stack(errors).amin(dim=0)
