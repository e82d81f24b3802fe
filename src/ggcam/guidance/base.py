"""The one interface of all ways for gaze to enter the training."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from ggcam.gaze.batch import GazeBatch
from ggcam.guidance.pairs import Labels, Pairs
from ggcam.models.cam import CAMClassifier, CAMOutput


class Losses(NamedTuple):
    """The losses of a batch, scalars.

    Attributes:
        total: what is minimised.
        classification: the classifier's own loss.
        guidance: the mean over all cases of what gaze adds; a case without gaze counts as 0, one with several labels
            as the mean over those of them that have gaze.
    """

    total: Float[Tensor, ""]
    classification: Float[Tensor, ""]
    guidance: Float[Tensor, ""]


class Guidance(nn.Module):
    """No guidance: the classification loss alone. Also the base of every other method.

    A method overrides :meth:`divergence`, and where it needs more room the other hooks: parameters of its own are
    trained with the network; :meth:`attach` may give the model another head or pooling, which then stays for
    prediction; :meth:`on_input` may change the image during training. Nothing here is asked for at prediction time.

    Args:
        weight: of the guidance term in the total loss.
    """

    def __init__(self, weight: float = 1.0):
        super().__init__()
        self.weight = weight

    def attach(self, model: CAMClassifier) -> None:
        """Called once, before training: the place to add a head, or to change the model's pooling."""

    def check_multilabel(self) -> None:
        """Raise a ConfigError if the method makes sense only where every case belongs to exactly one class."""

    def on_input(self, image: Shaped[Tensor, "b i H W"], gaze: GazeBatch) -> Shaped[Tensor, "b i H W"]:
        """The training images as the network shall see them."""
        return image

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"] | None:
        """How far each case's CAM is from its gaze; None for a method that does not look at gaze.

        Where cases have several labels, a case comes once with each that it has (see :class:`Pairs`); a method need not
        know, nor mind that there may be none at all.

        Args:
            output: of the model.
            labels: class index of each case.
            density: gaze maps on the grid of the CAM, each summing to 1; all zero for a case without gaze, whose value
                is ignored but must be finite.
        """
        return None

    def combine(self, classification: Float[Tensor, ""], guidance: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """The total loss."""
        return classification + self.weight * guidance

    def forward(
        self,
        output: CAMOutput,
        labels: Labels,
        gaze: GazeBatch,
        classification: Float[Tensor, ""],
    ) -> Losses:
        """The losses of a batch: each guided case counts the same, however many others in the batch have gaze.

        Args:
            output: of the model.
            labels: class index of each case; or (b, k), 1, 0 or NaN (unknown) for each class.
            gaze: of each case.
            classification: the classifier's own loss.

        Raises:
            ConfigError: a case may have several labels, which the method cannot guide.
        """
        if labels.ndim == 2:
            self.check_multilabel()
        pairs = Pairs.from_batch(output, labels, gaze)
        height, width = output.cam.shape[-2:]
        density = pairs.gaze.density((height, width))
        per_pair = self.dissimilarity(pairs.output, pairs.label, density)
        if per_pair is None:
            return Losses(classification, classification.detach(), torch.zeros_like(classification))
        guidance = pairs.mean(per_pair, density.sum(dim=(1, 2)) > 0, len(labels))
        return Losses(self.combine(classification, guidance), classification.detach(), guidance.detach())
