"""The interface that every way for human attention to enter training has."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ggcam.gaze.regions import Attention
from ggcam.guidance.pairs import Labels, Pairs
from ggcam.models.cam import CAMClassifier, CAMOutput


class Losses(NamedTuple):
    """The losses of a batch, scalars.

    Attributes:
        total: the loss to minimise.
        classification: the classifier's own loss, detached.
        guidance: mean dissimilarity of CAM and attention over all cases, detached. A case without attention counts as
            0, one with several labels as the mean over those of its labels that have attention.
    """

    total: Float[Tensor, ""]
    classification: Float[Tensor, ""]
    guidance: Float[Tensor, ""]


class Guidance(nn.Module):
    """Base class of all guidance methods; itself it is no guidance, the classification loss alone.

    A method overrides :meth:`dissimilarity`, and :meth:`combine` if the two losses are not simply added. Parameters of
    its own are trained with the network and kept in the checkpoints. Guidance is a matter of training only: a trained
    network is built, loaded and used without it.

    Args:
        weight: weight of the guidance term in the total loss.

    Example:
        A guidance of your own, in a file `my_module.py`, for `ggcam train DATA --guidance my_module:PeakGuidance`:

        >>> class PeakGuidance(Guidance):
        ...     def dissimilarity(self, output, labels, density):
        ...         attention = output.cam_for_labels(labels).flatten(1).softmax(1)
        ...         return 1 - (attention * density.flatten(1)).sum(1)
    """

    def __init__(self, weight: float = 1.0):
        super().__init__()
        self.weight = weight

    def initialize(self, model: CAMClassifier) -> None:
        """Set initial values that depend on the network; called once, before training.

        Args:
            model: the network to train, which must not be changed: it is built without the guidance for prediction.
        """

    def check_multilabel(self) -> None:
        """Raise a ConfigError if the method requires that every case belongs to exactly one class."""

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"] | None:
        """Compute how far the CAM of each case is from its attention map.

        With several labels per case, a case comes once for each label that it has (see :class:`Pairs`), and the batch
        may be empty.

        Args:
            output: output of the model.
            labels: class index of each case.
            density: attention maps on the grid of the CAM, each summing to 1; all zero for a case without any, whose
                dissimilarity is ignored but must be finite.

        Returns:
            A value per case; None for a method that does not use attention.
        """
        return None

    def combine(self, classification: Float[Tensor, ""], guidance: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Combine the two losses.

        Args:
            classification: the classifier's own loss.
            guidance: mean dissimilarity.

        Returns:
            The total loss.
        """
        return classification + self.weight * guidance

    def forward(
        self,
        output: CAMOutput,
        labels: Labels,
        attention: Attention,
        classification: Float[Tensor, ""],
        present: Int[Tensor, "m 2"] | None = None,
    ) -> Losses:
        """Compute the losses of a batch. Every guided case counts the same, however many others have attention.

        Args:
            output: output of the model.
            labels: class index of each case; or (b, k), 1, 0 or NaN (unknown) for each class.
            attention: gaze or regions of each case.
            classification: the classifier's own loss.
            present: with several labels, the index of the case and of the class of each label that is 1, as in
                :class:`ggcam.data.batches.Batch`; None finds them, which makes the host wait for a GPU.

        Returns:
            The losses.

        Raises:
            ConfigError: cases have several labels, which the method does not support.
        """
        if labels.ndim == 2:
            self.check_multilabel()
        pairs = Pairs.from_batch(output, labels, attention, present)
        height, width = output.cam.shape[-2:]
        density = pairs.attention.density((height, width))
        per_pair = self.dissimilarity(pairs.output, pairs.label, density)
        if per_pair is None:
            return Losses(classification, classification.detach(), torch.zeros_like(classification))
        guidance = pairs.mean(per_pair, density.sum(dim=(1, 2)) > 0, len(labels))
        return Losses(self.combine(classification, guidance), classification.detach(), guidance.detach())
