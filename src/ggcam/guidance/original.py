"""`original`: the loss of the code released with GG-CAM, defects included, to reproduce old results."""

from __future__ import annotations

from collections.abc import Mapping

from jaxtyping import Float, Int
from torch import Tensor, nn

from ggcam.errors import ConfigError
from ggcam.guidance.base import Guidance
from ggcam.guidance.functional import cam_gaze_loss
from ggcam.guidance.uncertainty import UncertaintyGuidance
from ggcam.models.cam import CAMClassifier, CAMOutput
from ggcam.models.original_nets import OriginalResNet

PARAMETER_NAMES: Mapping[str, str] = {
    "lg_sigma_classification": "log_sigma_classification",
    "lg_sigma_dissimilarity": "log_sigma_guidance",
    "lg_k": "log_sharpness",
}
"""Scalars of the loss: name in the original's weight files -> name of the guidance's parameter."""


class OriginalGuidance(UncertaintyGuidance):
    """The released code's loss, defects included: MSE between the CAM of class 0 and the gaze.

    For comparison with old results only.

    Its defects, and their effects:

    - The released code applies the sigmoid to the *label* instead of the CAM, and then takes the integer part, which is
      always 0. So the CAM of class 0 follows the gaze on every image, whatever its class: the network learns evidence
      for class 0 where the radiologist found something else.
    - That CAM is unbounded but compared with a map from 0 to 1. Its mean is the logit of class 0, which is therefore
      fixed by the gaze.
    - k appears in no term of the loss and gets no gradient: the method has two extra parameters, not three.
    - It starts at a = 7 and b = -23 (ResNet) or -16 (EffNet, and here any other network): the gaze outweighs the
      classification by 5.7e25 or 4.7e19, and Adam's normalised steps need thousands of batches to change that.

    One thing differs from the original: a case without gaze contributes nothing. In the original, its map of NaN
    spoils the batch.

    Args:
        weight: factor of D in the loss; 1 in the original.
    """

    source = "Zhu et al., released code"

    def __init__(self, weight: float = 1.0):
        super().__init__(weight, log_sigma_classification=7.0, log_sigma_guidance=-16.0, log_sharpness=0.0)
        self.log_sharpness.requires_grad_(False)

    def initialize(self, model: CAMClassifier) -> None:
        """Set the start value that the original uses with this network.

        Args:
            model: the model to train; it is not changed.
        """
        if isinstance(model.backbone, OriginalResNet):
            nn.init.constant_(self.log_sigma_guidance, -23.0)

    def check_multilabel(self) -> None:
        """Refuse multi-label data.

        Raises:
            ConfigError: always, because the released code supports only one class per case.
        """
        raise ConfigError(
            "guidance original supports only one class per case, and cases of these data may have several",
            where="--guidance",
            expected="ggcam, ggcam-cc or none",
            got="original",
        )

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Compute the mean squared error between the CAM of class 0 and the gaze map.

        Args:
            output: logits and CAM of a batch.
            labels: class indices; not used.
            density: gaze maps on the CAM grid, (b, h, w), each with sum 1.

        Returns:
            One value of 0 or more per case, without upper bound.
        """
        return cam_gaze_loss(output.cam[:, 0], density, "mse", reduction="none")


def export_scalars(guidance: Guidance) -> dict[str, Tensor]:
    """Return the scalars of a guidance under their names in the original's weight files.

    Args:
        guidance: any guidance.

    Returns:
        Tensors without dimensions; only those that the guidance has.
    """
    state = guidance.state_dict()
    return {name: state[parameter] for name, parameter in PARAMETER_NAMES.items() if parameter in state}


def load_scalars(guidance: OriginalGuidance, scalars: Mapping[str, Tensor]) -> None:
    """Load the scalars of one of the original's weight files into a guidance.

    Args:
        guidance: guidance to change.
        scalars: tensors without dimensions, under their names in the file.
    """
    guidance.load_state_dict({PARAMETER_NAMES[name]: value for name, value in scalars.items()})
