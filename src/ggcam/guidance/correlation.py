"""`ggcam-cc`: the CAM of the true class correlates with the gaze."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from ggcam.guidance.base import Guidance
from ggcam.models.cam import CAMOutput


def pearson(a: Float[Tensor, "b h w"], b: Float[Tensor, "b h w"]) -> Float[Tensor, " b"]:
    """Correlation over the cells of each pair of maps, -1 to 1; 0 where a map is constant."""
    a = a.flatten(1) - a.mean(dim=(1, 2))[:, None]
    b = b.flatten(1) - b.mean(dim=(1, 2))[:, None]
    # Under the root, so that the gradient of a constant map is 0 instead of NaN.
    norm = (a.square().sum(1) * b.square().sum(1)).clamp_min(1e-20).sqrt()
    return (a * b).sum(1) / norm


class CorrelationGuidance(Guidance):
    """`1 - r` between the CAM of the true class and the gaze density, over the grid.

    Pearson's r is free of scale and shift, so the logit, which is the CAM's mean, stays the classifier's own.
    """

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """0 (same pattern) to 2 (its negative) for each case."""
        return 1 - pearson(output.cam_of(labels), density)
