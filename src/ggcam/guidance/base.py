"""The interface that every way for human attention to enter training has."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from ggcam.gaze.regions import Attention
from ggcam.guidance.pairs import Labels, Pairs
from ggcam.models.cam import CAMClassifier, CAMOutput

Network = Callable[[Tensor], CAMOutput]
"""The network as a guidance calls it in training: images (b, i, H, W) -> output."""


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
    """The classification loss alone, without any guidance.

    It is the base class of all methods. A method overrides :meth:`dissimilarity`. Some also override :meth:`combine` if
    the two losses are not simply added, :meth:`extra_loss` if they have a further loss on every case,
    :meth:`forward_pass` if they change the image or compute more than one forward pass, and `head` if they pool the
    features in their own way. Parameters of the guidance are trained with the network and kept in the checkpoints.
    Guidance is a matter of training only: a trained network is built, loaded and used without it.

    Args:
        weight: weight of the guidance term in the total loss.

    Attributes:
        head: name of the network's head, a key of :data:`ggcam.models.heads.HEADS`.
        compares: "label" if each label of a case has a map of its own to compare with its attention, "case" if one map
            is compared with the whole attention of a case.
        source: publication that the method comes from; empty for none.
        needs: what the method requires besides attention, in words; empty for nothing.
        excludes: names of the options compile and checkpointing, if the method does not work with them.
        progress: fraction of the training steps that are done, 0 to 1; set before each step.

    Example:
        A guidance of your own, in a file `my_module.py`, for `ggcam train DATA --guidance my_module:PeakGuidance`:

        >>> class PeakGuidance(Guidance):
        ...     def dissimilarity(self, output, labels, density):
        ...         attention = output.cam_for_labels(labels).flatten(1).softmax(1)
        ...         return 1 - (attention * density.flatten(1)).sum(1)
    """

    head: ClassVar[str] = "cam"
    compares: ClassVar[Literal["label", "case"]] = "label"
    source: ClassVar[str] = ""
    needs: ClassVar[str] = ""
    excludes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, weight: float = 1.0):
        super().__init__()
        self.weight = weight
        self.progress = 0.0

    @classmethod
    def uses_attention(cls) -> bool:
        """Return whether the method has any use for attention: it compares a map with it, or changes the image.

        Returns:
            False for no guidance.
        """
        return cls.dissimilarity is not Guidance.dissimilarity or cls.forward_pass is not Guidance.forward_pass

    def initialize(self, model: CAMClassifier) -> None:
        """Set initial values that depend on the network, or create layers of the guidance that do; called once.

        Args:
            model: the network to train, which must not be changed: it is built without the guidance for prediction.

        Raises:
            ConfigError: the method does not work with this network.
        """

    def check_multilabel(self) -> None:
        """Raise a ConfigError if the method requires that every case belongs to exactly one class."""

    def forward_pass(
        self, network: Network, image: Shaped[Tensor, "b i H W"], labels: Labels, attention: Attention
    ) -> CAMOutput:
        """Run the network on a training batch.

        Args:
            network: the network.
            image: images, integers or floats from 0 to 1.
            labels: class index of each case; or (b, k), 1, 0 or NaN (unknown) for each class.
            attention: gaze or regions of each case.

        Returns:
            Its output, with what the losses need in `extra`. Validation calls the network itself, without this method.
        """
        return network(image)

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"] | None:
        """Compute how far the map of each case is from its attention map.

        With several labels per case, a case comes once for each label that it has (see :class:`Pairs`), and the batch
        may be empty.

        Args:
            output: output of the model.
            labels: class index of each case; with `compares = "case"` and several labels per case, 0.
            density: attention maps on the grid of the CAM, each summing to 1; all zero for a case without any, whose
                dissimilarity is ignored but must be finite.

        Returns:
            A value per case; None for a method that does not use attention.
        """
        return None

    def extra_loss(self, output: CAMOutput, classify: Callable[[Tensor], Tensor]) -> Tensor | None:
        """Compute a further loss that all training cases have, such as that of a second classifier.

        Args:
            output: output of the model.
            classify: the classification loss of the batch as a function of logits (b, k).

        Returns:
            A scalar, which is added to the total loss; None for none.
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
        if self.compares == "label":
            pairs = Pairs.from_batch(output, labels, attention, present)
        else:
            pairs = Pairs.whole_cases(output, labels, attention)
        height, width = output.cam.shape[-2:]
        density = pairs.attention.density((height, width))
        per_pair = self.dissimilarity(pairs.output, pairs.label, density)
        if per_pair is None:
            return Losses(classification, classification.detach(), torch.zeros_like(classification))
        guidance = pairs.mean(per_pair, density.sum(dim=(1, 2)) > 0, len(labels))
        return Losses(self.combine(classification, guidance), classification.detach(), guidance.detach())
