"""`ggcam-swap`: the CAM correlates with the attention, and what lies outside it comes from other images."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn import functional

from ggcam.gaze.regions import Attention
from ggcam.guidance.base import Network
from ggcam.guidance.correlation import CorrelationGuidance
from ggcam.guidance.options import Fraction
from ggcam.guidance.pairs import Labels
from ggcam.guidance.pixels import as_floats
from ggcam.models.cam import CAMOutput

_GRID = (16, 16)
"""Cells on which the attention is drawn to find what lies outside it."""


class SwapGuidance(CorrelationGuidance):
    """1 - Pearson correlation of CAM and attention; some training images get the background of another image.

    What a classifier learns from outside the attended area, such as a marker that happens to go with a class, does not
    go with the class any more once it comes from another case; the finding does. The pixels of case i become
    `x_i + (1 - s_i)(1 - s_j)(x_j - x_i)`, where j is another case of the batch and s is 1 in the attended area, with a
    soft edge: what was attended in j stays out of i, too, so that i keeps its label. Training alone changes; a trained
    network is an ordinary one.

    A case takes part only if all of its findings have attention: otherwise the swap might remove or add one of them.
    With several labels per case, one that has none of them keeps the area that another case attends to, so that the
    seams of a swap tell nothing about the labels.

    Args:
        weight: weight of the guidance term in the total loss.
        probability: probability that a case is changed.
        threshold: fraction of the attention map's maximum from which on an area counts as attended.
        fading: whether the probability falls linearly to 0 over the training, so that the last steps see the images as
            they are.
    """

    source = "this project"

    def __init__(
        self,
        weight: float = 1.0,
        probability: Fraction = 0.5,
        threshold: Fraction = 0.3,
        fading: bool = False,
    ):
        super().__init__(weight)
        self.probability = probability
        self.fading = fading
        self.threshold = threshold

    def forward_pass(
        self, network: Network, image: Shaped[Tensor, "b i H W"], labels: Labels, attention: Attention
    ) -> CAMOutput:
        """Run the network on the images, some with another background; see :meth:`Guidance.forward_pass`."""
        pixels = as_floats(image)
        attended, known, giving = self._attended(labels, attention)
        probability = self.probability * (1 - self.progress) if self.fading else self.probability
        chosen = (torch.rand(len(pixels), device=pixels.device) < probability) & known & giving.roll(1)
        kept = functional.interpolate(attended[:, None], pixels.shape[-2:], mode="bilinear")
        share = (1 - kept) * (1 - kept.roll(1, dims=0)) * chosen[:, None, None, None]
        return network(torch.lerp(pixels, pixels.roll(1, dims=0), share.expand_as(pixels)))

    def _attended(
        self, labels: Labels, attention: Attention
    ) -> tuple[Float[Tensor, "b h w"], Bool[Tensor, " b"], Bool[Tensor, " b"]]:
        """Return the attended area of each case, whether its background may change, and whether others may have it."""
        density = attention.density(_GRID)
        known = giving = density.sum(dim=(1, 2)) > 0
        if labels.ndim == 2:
            missing = _without_attention(labels, attention)
            known, giving = known & ~(missing & (labels == 1)).any(dim=1), ~(missing & (labels != 0)).any(dim=1)
            negative = (labels == 0).all(dim=1)
            borrowed = density.roll(-1, dims=0)
            density = torch.where(negative[:, None, None], borrowed, density)
            known = torch.where(negative, borrowed.sum(dim=(1, 2)) > 0, known)
        peak = density.amax(dim=(1, 2), keepdim=True)
        return (density / (self.threshold * peak).clamp_min(1e-12)).clamp(max=1), known, giving


def _without_attention(labels: Float[Tensor, "b k"], attention: Attention) -> Bool[Tensor, "b k"]:
    """Return for each label of each case whether no attention belongs to it."""
    cases, classes = labels.shape
    case = torch.arange(cases, device=labels.device).repeat_interleave(classes)
    label = torch.arange(classes, device=labels.device).repeat(cases)
    return attention.for_labels(case, label).density(_GRID).sum(dim=(1, 2)).reshape(cases, classes) == 0
