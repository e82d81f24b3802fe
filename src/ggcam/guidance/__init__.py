"""Guidance: how gaze enters training. One module per method, one interface, one registry."""

from __future__ import annotations

from ggcam.errors import ConfigError
from ggcam.guidance.base import Guidance, Losses
from ggcam.guidance.correlation import CorrelationGuidance
from ggcam.guidance.functional import cam_gaze_loss
from ggcam.guidance.ggcam import GGCAMGuidance
from ggcam.guidance.original import OriginalGuidance
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
]

GUIDANCES: dict[str, type[Guidance]] = {
    "none": Guidance,
    "ggcam": GGCAMGuidance,
    "ggcam-cc": CorrelationGuidance,
    "original": OriginalGuidance,
}
"""Name on the command line -> method."""


def create_guidance(name: str, weight: float = 1.0) -> Guidance:
    """Create a guidance by its name, with its own initial values.

    Args:
        name: a key of `GUIDANCES`, or `MODULE:CLASS`, a subclass of `Guidance` of your own, which is imported. Never
            pass such a name from a file that somebody else wrote.
        weight: weight of the guidance term in the loss.

    Returns:
        The guidance, a module with its own trainable parameters, if any.

    Raises:
        ConfigError: there is no such guidance, or the class cannot be imported or is not a guidance.

    Example:
        >>> create_guidance("ggcam-cc", weight=0.5)
        CorrelationGuidance()
    """
    if is_reference(name):
        return _own_class(name)(weight=weight)
    name = canonical_name(name)
    if name not in GUIDANCES:
        raise ConfigError(
            f"there is no guidance {name!r}",
            where="--guidance",
            expected=f"one of {', '.join(GUIDANCES)}, or MODULE:CLASS",
        )
    return GUIDANCES[name](weight=weight)


def _own_class(path: str) -> type[Guidance]:
    found = import_object(path, option="--guidance")
    if not (isinstance(found, type) and issubclass(found, Guidance)):
        raise ConfigError(
            "not a guidance", where=f"--guidance {path}", expected="a subclass of ggcam.Guidance", got=repr(found)
        )
    return found
