"""`ggcam`: the method as its authors describe it, with a learned shift and initial values that work."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ggcam.guidance.functional import LossKind, cam_gaze_loss
from ggcam.guidance.options import Positive
from ggcam.guidance.uncertainty import UncertaintyGuidance
from ggcam.models.cam import CAMOutput

_OF_ACTIVATION = ("mse", "bce", "ssim")
"""Distances that take maps from 0 to 1."""


class GGCAMGuidance(UncertaintyGuidance):
    """Mean squared error between a sigmoid of the true class's CAM and the attention, with learned weights.

    `D = MSE(sigmoid(exp(k) CAM_y + s), G)`, where G has maximum 1 and k and s are learned. The shift s is an addition
    to the published method: without it the sigmoid starts at 1/2 everywhere, and only a negative CAM, and so a negative
    logit of the true class, could lower it where nobody looked. For the same reason s starts where gaze maps have their
    mean: a learned scalar moves by at most the learning rate per step, a few tenths in a short training run.

    Other distances than the mean squared error can be chosen. "bce" and "ssim" take the same sigmoid; "kl", "cc" and
    "nss" take `exp(k) CAM_y + s` as it is.

    Args:
        weight: factor on D.
        sigma_classification: initial value of sc.
        sigma_guidance: initial value of sd; the smaller, the more the gaze counts.
        sharpness: initial value of exp(k).
        shift: initial value of s; the sigmoid of -2.5 is 0.08.
        alignment: the distance D; see :func:`ggcam.cam_gaze_loss`.
    """

    source = "Zhu et al., VINCI 2022"

    def __init__(
        self,
        weight: float = 1.0,
        sigma_classification: Positive = 1.0,
        sigma_guidance: Positive = 0.1,
        sharpness: Positive = 0.3,
        shift: float = -2.5,
        alignment: LossKind = "mse",
    ):
        super().__init__(weight, math.log(sigma_classification), math.log(sigma_guidance), math.log(sharpness))
        self.shift = nn.Parameter(torch.tensor(shift))
        self.alignment: LossKind = alignment

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Compute the distance of each case: by default the mean squared error over its grid, 0 to 1.

        Args:
            output: output of the model.
            labels: class index of each case.
            density: gaze map of each case.

        Returns:
            Shape (b,).
        """
        evidence = self.log_sharpness.exp() * output.cam_for_labels(labels) + self.shift
        compared = evidence.sigmoid() if self.alignment in _OF_ACTIVATION else evidence
        return cam_gaze_loss(compared, density, self.alignment, reduction="none")
