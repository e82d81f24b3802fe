"""`gain`: what the map leaves out must not show the class, and the map resembles the attention."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn import functional

from ggcam.gaze.maps import as_peak
from ggcam.gaze.regions import Attention
from ggcam.guidance.base import Guidance, Network
from ggcam.guidance.cam_maps import peak_scaled
from ggcam.guidance.functional import squared_error
from ggcam.guidance.options import Fraction, NonNegative, Positive
from ggcam.guidance.pairs import Labels
from ggcam.guidance.pixels import as_floats
from ggcam.models.cam import CAMClassifier, CAMOutput
from ggcam.models.checkpointing import frozen_running_statistics

_REMAINING = "remaining_probability"


class GAINGuidance(Guidance):
    """The CAM resembles the attention, and what it leaves of the image does not show the class.

    `CE + a p(class | image without what the map shows) + w MSE(map, attention)`. Li et al., "Tell Me Where to Look:
    Guided Attention Inference Network" (CVPR 2018). The map is the evidence for the class, divided by its maximum;
    `sigmoid(omega (map - sigma))`, enlarged to the image, is what is removed. A second forward pass classifies the
    rest, which nearly doubles the time of a step; batch norm's running statistics are those of whole images. With
    several labels per case, the maps of its labels are removed together, and the probabilities that remain are
    averaged.

    Args:
        weight: w, weight of the guidance term in the total loss.
        removal: a, weight of the remaining probability.
        omega: steepness of the removal.
        sigma: level of the map at which half is removed.
    """

    source = "Li et al., CVPR 2018"

    def __init__(self, weight: float = 1.0, removal: NonNegative = 1.0, omega: Positive = 10.0, sigma: Fraction = 0.5):
        super().__init__(weight)
        self._model: list[CAMClassifier] = []  # in a list, so that its parameters are not the guidance's, too
        self.removal = removal
        self.omega = omega
        self.sigma = sigma

    def initialize(self, model: CAMClassifier) -> None:
        """Remember the network, whose running statistics the second pass leaves as they are.

        Args:
            model: the network to train; it is not changed.
        """
        self._model = [model]

    def forward_pass(
        self, network: Network, image: Shaped[Tensor, "b i H W"], labels: Labels, attention: Attention
    ) -> CAMOutput:
        """Classify the images, and then what the maps leave of them; see :meth:`Guidance.forward_pass`."""
        output = network(image)
        classes = output.logits.shape[1]
        has = (labels == 1).float() if labels.ndim == 2 else functional.one_hot(labels, classes).float()
        maps = peak_scaled(output.cam.flatten(0, 1)).unflatten(0, output.cam.shape[:2])
        shown = (maps * has[..., None, None]).amax(dim=1, keepdim=True)
        removed = torch.sigmoid(self.omega * (shown - self.sigma))
        removed = functional.interpolate(removed, image.shape[-2:], mode="bilinear", align_corners=False)
        (model,) = self._model
        with frozen_running_statistics(model):
            logits = network(as_floats(image) * (1 - removed)).logits
        probability = logits.softmax(dim=1) if labels.ndim == 1 else logits.sigmoid()
        remaining = (probability * has).sum(dim=1) / has.sum(dim=1).clamp_min(1)
        return output._replace(extra={**output.extra, _REMAINING: remaining})

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Compute the mean squared error of each case over its grid, 0 to 1; see :meth:`Guidance.dissimilarity`."""
        return squared_error(peak_scaled(output.cam_for_labels(labels)), as_peak(density))

    def extra_loss(self, output: CAMOutput, classify: Callable[[Tensor], Tensor]) -> Float[Tensor, ""]:
        """Compute the mean remaining probability of the classes, 0 to `removal`; see :meth:`Guidance.extra_loss`."""
        return self.removal * output.extra[_REMAINING].mean()
