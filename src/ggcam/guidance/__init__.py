"""Guidance: how human attention enters training. One module per method, one interface, one registry."""

from __future__ import annotations

from collections.abc import Mapping

from ggcam.errors import ConfigError
from ggcam.guidance.base import Guidance, Losses
from ggcam.guidance.consistency import AttentionConsistencyGuidance, CompositeGuidance
from ggcam.guidance.correlation import CorrelationGuidance
from ggcam.guidance.crop import GazeCropGuidance
from ggcam.guidance.cyborg import CyborgGuidance
from ggcam.guidance.decoder import MentorGuidance, MTUNetGuidance, UNetGuidance
from ggcam.guidance.eg_vit import EyeGazeViTGuidance
from ggcam.guidance.functional import cam_gaze_loss
from ggcam.guidance.gain import GAINGuidance
from ggcam.guidance.gazemtl import GazeMTLGuidance
from ggcam.guidance.ggcam import GGCAMGuidance
from ggcam.guidance.gradia import GradiaGuidance
from ggcam.guidance.inside import EnergyGuidance, HAICSGuidance, OutsideGuidance
from ggcam.guidance.options import Value, check_options
from ggcam.guidance.original import OriginalGuidance
from ggcam.guidance.own_head import AttentionBranchGuidance, GazeAttentionGuidance, MILGuidance
from ggcam.guidance.res import RobustGuidance
from ggcam.guidance.rrr import RightReasonsGuidance
from ggcam.guidance.swap import SwapGuidance
from ggcam.utils.aliases import canonical_name
from ggcam.utils.user_code import import_object, is_reference

__all__ = [
    "GUIDANCES",
    "CorrelationGuidance",
    "GGCAMGuidance",
    "Guidance",
    "Losses",
    "OriginalGuidance",
    "cam_gaze_loss",
    "create_guidance",
    "guidance_class",
]

GUIDANCES: dict[str, type[Guidance]] = {
    "none": Guidance,
    "ggcam": GGCAMGuidance,
    "ggcam-cc": CorrelationGuidance,
    "ggcam-swap": SwapGuidance,
    "original": OriginalGuidance,
    "cyborg": CyborgGuidance,
    "energy": EnergyGuidance,
    "gradia": GradiaGuidance,
    "haics": HAICSGuidance,
    "rrr": RightReasonsGuidance,
    "rrr-star": OutsideGuidance,
    "res-g": RobustGuidance,
    "attention-consistency": AttentionConsistencyGuidance,
    "composite": CompositeGuidance,
    "unet": UNetGuidance,
    "mt-unet": MTUNetGuidance,
    "mentor": MentorGuidance,
    "gazemtl": GazeMTLGuidance,
    "abn": AttentionBranchGuidance,
    "gaze-attention": GazeAttentionGuidance,
    "mil": MILGuidance,
    "gain": GAINGuidance,
    "gaze-crop": GazeCropGuidance,
    "eg-vit": EyeGazeViTGuidance,
}
"""Name on the command line -> method."""


def create_guidance(name: str, weight: float = 1.0, options: Mapping[str, Value] | None = None) -> Guidance:
    """Create a guidance by its name, with its own initial values.

    Args:
        name: a key of `GUIDANCES`, or `MODULE:CLASS`, a subclass of `Guidance` of your own, which is imported. Never
            pass such a name from a file that somebody else wrote.
        weight: weight of the guidance term in the loss.
        options: hyper-parameters of the method, by name; see the class. Default: its own values.

    Returns:
        The guidance, a module with its own trainable parameters, if any.

    Raises:
        ConfigError: there is no such guidance or option, or the class cannot be imported or is not a guidance.

    Example:
        >>> create_guidance("ggcam-cc", weight=0.5)
        CorrelationGuidance()
    """
    found = guidance_class(name)
    return found(weight=weight, **check_options(found, options or {}, name))


def guidance_class(name: str) -> type[Guidance]:
    """Return the class of a guidance; see :func:`create_guidance`.

    Args:
        name: a key of `GUIDANCES`, or `MODULE:CLASS`, which is imported.

    Returns:
        The class.

    Raises:
        ConfigError: there is no such guidance, or the class cannot be imported or is not a guidance.
    """
    if is_reference(name):
        return _own_class(name)
    name = canonical_name(name)
    if name not in GUIDANCES:
        raise ConfigError(
            f"there is no guidance {name!r}",
            where="--guidance",
            expected=f"one of {', '.join(GUIDANCES)}, or MODULE:CLASS",
        )
    return GUIDANCES[name]


def _own_class(path: str) -> type[Guidance]:
    found = import_object(path, option="--guidance")
    if not (isinstance(found, type) and issubclass(found, Guidance)):
        raise ConfigError(
            "not a guidance", where=f"--guidance {path}", expected="a subclass of ggcam.Guidance", got=repr(found)
        )
    return found
