"""`cyborg`: the CAM of the predicted class resembles the attention."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from ggcam.gaze.regions import Attention
from ggcam.guidance.base import Guidance, Losses
from ggcam.guidance.cam_maps import min_max_scaled
from ggcam.guidance.functional import squared_error
from ggcam.guidance.options import Fraction
from ggcam.guidance.pairs import Labels
from ggcam.models.cam import CAMOutput


class CyborgGuidance(Guidance):
    """Mean squared error between the CAM of the predicted class and the attention, both scaled to 0..1.

    `a CE + (1 - a) MSE`, with maps scaled from their minimum and maximum. Boyd et al., "CYBORG: Blending human saliency
    into the loss improves deep learning" (WACV 2023). With several labels per case there is no one predicted class: the
    CAM of each label that the case has is compared.

    Args:
        weight: factor on the MSE; 1 in the paper.
        balance: a, the share of the classification loss.
    """

    source = "Boyd et al., WACV 2023"

    def __init__(self, weight: float = 1.0, balance: Fraction = 0.5):
        super().__init__(weight)
        self.balance = balance
        self._several_labels = False

    def forward(
        self,
        output: CAMOutput,
        labels: Labels,
        attention: Attention,
        classification: Float[Tensor, ""],
        present: Int[Tensor, "m 2"] | None = None,
    ) -> Losses:
        """Compute the losses of a batch; see :meth:`Guidance.forward`."""
        self._several_labels = labels.ndim == 2
        return super().forward(output, labels, attention, classification, present)

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Compute the mean squared error of each case over its grid, 0 to 1; see :meth:`Guidance.dissimilarity`."""
        compared = labels if self._several_labels else output.logits.argmax(dim=1)
        return squared_error(min_max_scaled(output.cam_for_labels(compared)), min_max_scaled(density))

    def combine(self, classification: Float[Tensor, ""], guidance: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Blend the two losses; see :meth:`Guidance.combine`."""
        return self.balance * classification + (1 - self.balance) * self.weight * guidance
