"""`rrr`: right for the right reasons, the gradient of the answer with respect to the image is small outside."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn import functional

from ggcam.gaze.regions import Attention
from ggcam.guidance.base import Guidance, Network
from ggcam.guidance.cam_maps import attended
from ggcam.guidance.options import Fraction, NonNegative
from ggcam.guidance.pairs import Labels
from ggcam.guidance.pixels import as_floats
from ggcam.models.cam import CAMOutput

_GRADIENT = "squared_gradient"


class RightReasonsGuidance(Guidance):
    """The gradient of the answer with respect to the image is small outside the attended area.

    `sum over pixels outside of (d/dx sum_k log p_k)^2`, x being the image from 0 to 1. Ross, Hughes, Doshi-Velez,
    "Right for the Right Reasons" (IJCAI 2017). With several labels per case, the sum has log p_k and log(1 - p_k) of
    each label. What is outside is decided on the CAM's grid. The gradient is differentiated in turn, which doubles the
    time of a step. In validation the term is not computed, and counts as 0.

    Args:
        weight: weight of the guidance term in the total loss.
        strength: the paper's factor on the term, to be chosen such that both losses are of the same order.
        threshold: fraction of the attention's maximum from which on a cell is inside.
    """

    source = "Ross et al., IJCAI 2017"
    compares = "case"
    excludes = ("compile", "checkpointing")

    def __init__(self, weight: float = 1.0, strength: NonNegative = 10.0, threshold: Fraction = 0.15):
        super().__init__(weight)
        self.strength = strength
        self.threshold = threshold

    def forward_pass(
        self, network: Network, image: Shaped[Tensor, "b i H W"], labels: Labels, attention: Attention
    ) -> CAMOutput:
        """Run the network and differentiate its answer with respect to the image; see :meth:`Guidance.forward_pass`."""
        image = as_floats(image).requires_grad_()
        output = network(image)
        z = output.logits
        log_p = z.log_softmax(dim=1) if labels.ndim == 1 else functional.logsigmoid(z) + functional.logsigmoid(-z)
        (gradient,) = torch.autograd.grad(log_p.sum(), image, create_graph=True)
        squared = gradient.float().square().sum(dim=1, keepdim=True)
        height, width = output.cam.shape[-2:]
        pixels_per_cell = squared[0].numel() / (height * width)
        cells = functional.adaptive_avg_pool2d(squared, (height, width))[:, 0] * pixels_per_cell
        return output._replace(extra={**output.extra, _GRADIENT: cells})

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"] | None:
        """Compute the sum of the squared gradient outside of each case, 0 or more; None in validation.

        See :meth:`Guidance.dissimilarity`.
        """
        if _GRADIENT not in output.extra:
            return None
        outside = ~attended(density, self.threshold)
        return self.strength * (output.extra[_GRADIENT] * outside).sum(dim=(1, 2))
