"""`ggcam-cc`: the CAM of the true class correlates with the gaze."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from ggcam.guidance.base import Guidance
from ggcam.guidance.functional import cam_gaze_loss
from ggcam.models.cam import CAMOutput


class CorrelationGuidance(Guidance):
    """1 - Pearson correlation between the CAM of the true class and the attention, over the cells of the grid.

    The correlation ignores scale and shift, so the logit, which is the mean of the CAM, is left to the classification
    loss.

    Args:
        weight: weight of the guidance term in the total loss.
    """

    source = "this project"

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Compute `1 - r` of each case: 0 (same pattern) to 2 (opposite pattern).

        Args:
            output: output of the model.
            labels: class index of each case.
            density: gaze map of each case.

        Returns:
            Shape (b,).
        """
        return cam_gaze_loss(output.cam_for_labels(labels), density, "cc", reduction="none")
