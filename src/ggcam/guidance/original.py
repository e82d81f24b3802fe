"""`original`: the loss as the code released with GG-CAM computes it, defects included, to repeat old results."""

from __future__ import annotations

from collections.abc import Mapping

from jaxtyping import Float, Int
from torch import Tensor, nn

from ggcam.errors import ConfigError
from ggcam.gaze.maps import as_peak
from ggcam.guidance.base import Guidance
from ggcam.guidance.uncertainty import UncertaintyGuidance, squared_error
from ggcam.models.cam import CAMClassifier, CAMOutput
from ggcam.models.original_nets import OriginalResNet

NAMES: Mapping[str, str] = {
    "lg_sigma_classification": "log_sigma_classification",
    "lg_sigma_dissimilarity": "log_sigma_guidance",
    "lg_k": "log_sharpness",
}
"""A scalar of the loss in the original's files -> the same in a guidance."""


class OriginalGuidance(UncertaintyGuidance):
    """Mean squared error between class 0's raw CAM and the gaze map, for comparison with old results only.

    What is wrong with it, and the effect:

    - The released code passes the sigmoid of the *label* where the sigmoid of the CAM belongs, and then takes the
      integer part of that, which is always 0. So class 0's CAM follows the gaze on every image, whatever its class:
      evidence for class 0 is learned to lie where the radiologist found something else.
    - That CAM is not bounded, but is pulled to a map of 0 to 1; its mean is class 0's logit, which so is fixed by the
      gaze.
    - k is in no term of the loss and gets no gradient: the method has two extra parameters, not three.
    - It starts at a = 7 and b = -23 (ResNet) or -16 (EffNet, and here any other network): the gaze outweighs the
      classification by 5.7e25 or 4.7e19, and Adam's normalised steps take thousands of batches to change that.

    In one difference from the original, a case without gaze adds nothing; there, its map of NaN spoils the batch.

    Args:
        weight: multiplies D; the original's is 1.
    """

    def __init__(self, weight: float = 1.0):
        super().__init__(weight, log_sigma_classification=7.0, log_sigma_guidance=-16.0, log_sharpness=0.0)
        self.log_sharpness.requires_grad_(False)

    def attach(self, model: CAMClassifier) -> None:
        """Start as the original does with this network."""
        if isinstance(model.backbone, OriginalResNet):
            nn.init.constant_(self.log_sigma_guidance, -23.0)

    def check_multilabel(self) -> None:
        """Raise a ConfigError: class 0 follows the gaze once on every image, whatever labels that has."""
        raise ConfigError(
            "guidance original repeats the published code, which knows one class a case, and these cases may have "
            "several",
            where="--guidance",
            expected="ggcam, ggcam-cc or none",
            got="original",
        )

    def dissimilarity(
        self, output: CAMOutput, labels: Int[Tensor, " b"], density: Float[Tensor, "b h w"]
    ) -> Float[Tensor, " b"]:
        """Mean squared error of each case over its grid; without bound."""
        return squared_error(output.cam[:, 0], as_peak(density))


def scalars_of(guidance: Guidance) -> dict[str, Tensor]:
    """The scalars of a guidance by their names in the original's files; those that it has."""
    own = guidance.state_dict()
    return {theirs: own[ours] for theirs, ours in NAMES.items() if ours in own}


def start_from(guidance: OriginalGuidance, scalars: Mapping[str, Tensor]) -> None:
    """Go on from the scalars in a file of the original's."""
    guidance.load_state_dict({NAMES[theirs]: value for theirs, value in scalars.items()})
