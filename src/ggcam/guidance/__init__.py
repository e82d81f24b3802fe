"""How gaze enters the training: one module a method, one interface, one registry."""

from __future__ import annotations

from ggcam.errors import ConfigError
from ggcam.guidance.base import Guidance, Losses
from ggcam.guidance.correlation import CorrelationGuidance
from ggcam.guidance.ggcam import GGCAMGuidance
from ggcam.guidance.original import OriginalGuidance

__all__ = [
    "GUIDANCES",
    "CorrelationGuidance",
    "GGCAMGuidance",
    "Guidance",
    "Losses",
    "OriginalGuidance",
    "create_guidance",
]

GUIDANCES: dict[str, type[Guidance]] = {
    "none": Guidance,
    "ggcam": GGCAMGuidance,
    "ggcam-cc": CorrelationGuidance,
    "original": OriginalGuidance,
}
"""Name on the command line -> method. A user's own method joins by an entry here."""


def create_guidance(name: str, weight: float = 1.0) -> Guidance:
    """Build a method by its name, with its own start values.

    Raises:
        ConfigError: no such method.
    """
    if name not in GUIDANCES:
        raise ConfigError(
            f"there is no guidance {name!r}", where="--guidance", expected=f"one of {', '.join(GUIDANCES)}"
        )
    return GUIDANCES[name](weight=weight)
