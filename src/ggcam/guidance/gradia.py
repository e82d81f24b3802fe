"""`gradia`: the mean absolute difference between the evidence for the class and the attention."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from ggcam.gaze.maps import as_peak
from ggcam.guidance.base import Guidance
from ggcam.guidance.cam_maps import peak_scaled
from ggcam.models.cam import CAMOutput


class GradiaGuidance(Guidance):
    """Mean absolute difference between the evidence for the class and the attention.

    `mean |A / max A - G / max G|`, A being Grad-CAM, cut off at 0. Gao et al., "Aligning Eyes between Humans and Deep
    Neural Network through Interactive Attention Alignment" (CSCW 2022), in the normalised form of Rao et al. (ICCV
    2023). The paper also weighs cases by whether the prediction and the map were judged right; all weigh the same here.

    Args:
        weight: weight of the guidance term in the total loss.
    """

    source = "Gao et al., CSCW 2022; Rao et al., ICCV 2023"

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Compute the mean absolute difference of each case, 0 to 1; see :meth:`Guidance.dissimilarity`."""
        return (peak_scaled(output.cam_for_labels(labels)) - as_peak(density)).abs().mean(dim=(1, 2))
