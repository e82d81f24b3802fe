"""`unet`, `mt-unet` and `mentor`: a decoder of its own predicts the attention from the features."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from ggcam.gaze.maps import as_peak
from ggcam.guidance.base import Guidance
from ggcam.guidance.functional import divergence, squared_error
from ggcam.guidance.options import Fraction, PositiveInt
from ggcam.guidance.uncertainty import combine_by_uncertainty
from ggcam.models.cam import CAMClassifier, CAMOutput


class MapDecoder(nn.Sequential):
    """Convolutions that map features to the logits of an attention map on the same grid.

    Args:
        num_features: number of channels of the features.
        width: number of channels in between.
    """

    def __init__(self, num_features: int, width: int = 64):
        super().__init__(
            nn.Conv2d(num_features, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 1, 1),
        )


class DecoderGuidance(Guidance):
    """A decoder, dropped after training, predicts the attention: the common part.

    The published decoders enlarge the map to the size of the image, with connections to the first layers of the
    network; here the map has the grid of the CAM, because any network can be decoded there, and finer maps than the
    CAM's do not enter any comparison. The attention guides the features, not the CAM.

    Args:
        weight: weight of the guidance term in the total loss.
        width: number of channels of the decoder.
    """

    compares = "case"

    def __init__(self, weight: float = 1.0, width: PositiveInt = 64):
        super().__init__(weight)
        self.width = width
        self.decoder = nn.Identity()

    def initialize(self, model: CAMClassifier) -> None:
        """Create the decoder for the features of a network.

        Args:
            model: the network to train; it is not changed.
        """
        self.decoder = MapDecoder(model.backbone.num_features, self.width)

    def decode(self, output: CAMOutput) -> Float[Tensor, "b h w"]:
        """Predict the attention.

        Args:
            output: output of the model.

        Returns:
            Logits of the map in float32.
        """
        return self.decoder(output.features)[:, 0].float()


class UNetGuidance(DecoderGuidance):
    """A decoder predicts the attention from the features (binary cross entropy).

    `g CE + (1 - g) BCE`, the attention having maximum 1. The static model of Karargyris et al., "Creation and
    validation of a chest X-ray dataset with eye-tracking and report dictation for AI development" (Scientific Data,
    2021).

    Args:
        weight: factor on the BCE; 1 in the paper.
        balance: g, the share of the classification loss.
        width: number of channels of the decoder.
    """

    source = "Karargyris et al., Scientific Data 2021"

    def __init__(self, weight: float = 1.0, balance: Fraction = 0.417, width: PositiveInt = 64):
        super().__init__(weight, width)
        self.balance = balance

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Compute the mean binary cross entropy of each case over its grid, 0 or more.

        See :meth:`Guidance.dissimilarity`.
        """
        per_cell = functional.binary_cross_entropy_with_logits(self.decode(output), as_peak(density), reduction="none")
        return per_cell.mean(dim=(1, 2))

    def combine(self, classification: Float[Tensor, ""], guidance: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Blend the two losses; see :meth:`Guidance.combine`."""
        return self.balance * classification + (1 - self.balance) * self.weight * guidance


class MTUNetGuidance(DecoderGuidance):
    """A decoder predicts the attention from the features (divergence), with learned weights of the two losses.

    `CE / sc^2 + log(1 + sc) + KL / (2 si^2) + log(1 + si)`. Zhu, Rohling, Salcudean, "Multi-task UNet" (2022). Both sc
    and si start at 1. There the classifier also reads features of the decoder, here those of the network alone.

    Args:
        weight: factor on KL; 1 in the paper.
        width: number of channels of the decoder.
    """

    source = "Zhu et al., MT-UNet, 2022"

    def __init__(self, weight: float = 1.0, width: PositiveInt = 64):
        super().__init__(weight, width)
        self.log_sigma_classification = nn.Parameter(torch.zeros(()))
        self.log_sigma_guidance = nn.Parameter(torch.zeros(()))

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Compute the divergence of the decoder's map from the attention of each case, 0 or more, in nats.

        See :meth:`Guidance.dissimilarity`.
        """
        return divergence(self.decode(output), density)

    def combine(self, classification: Float[Tensor, ""], guidance: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Weigh the two losses by their learned uncertainties; see :meth:`Guidance.combine`."""
        return combine_by_uncertainty(
            classification, self.weight * guidance, self.log_sigma_classification, self.log_sigma_guidance
        )


class MentorGuidance(DecoderGuidance):
    """The network first learns to predict the attention with a decoder, and only then to classify.

    MENTOR (WACV 2025): pre-training as an autoencoder from image to human map, whose decoder is dropped. The loss of
    this stage, the mean squared error, is chosen here. Both stages are part of one training run, with one optimizer and
    one learning rate schedule. The validation metrics do not improve before the second stage, so the schedule "plateau"
    and early stopping need a patience that is longer than the first.

    Args:
        weight: factor on the loss of the first stage.
        pretraining: fraction of the training that is pre-training.
        width: number of channels of the decoder.
    """

    source = "MENTOR, WACV 2025"

    def __init__(self, weight: float = 1.0, pretraining: Fraction = 0.4, width: PositiveInt = 64):
        super().__init__(weight, width)
        self.pretraining = pretraining

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Compute the mean squared error of each case over its grid, 0 to 1; see :meth:`Guidance.dissimilarity`."""
        return squared_error(self.decode(output).sigmoid(), as_peak(density))

    def combine(self, classification: Float[Tensor, ""], guidance: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Return the loss of this stage; see :meth:`Guidance.combine`."""
        first = float(self.progress < self.pretraining)
        # A factor of 0 keeps all parameters in the graph, which training in several processes requires.
        return (1 - first) * classification + first * self.weight * guidance
