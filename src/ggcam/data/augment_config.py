"""How far training images may be changed. Light: a command line reads it without loading torch."""

from __future__ import annotations

from dataclasses import dataclass

from ggcam.errors import ConfigError


@dataclass(frozen=True)
class AugmentConfig:
    """How far images may be changed during training. Chest X-rays are not mirrored: the heart has a side.

    Attributes:
        rotate_deg: at most so many degrees either way.
        shift: at most this share of the side, either way.
        zoom: scaled by a factor between 1 / (1 + zoom) and 1 + zoom.
        contrast: contrast and brightness change by at most this share.
    """

    rotate_deg: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    contrast: float = 0.0

    def __post_init__(self) -> None:
        for name, most in (("rotate_deg", 180.0), ("shift", 1.0), ("zoom", 10.0), ("contrast", 1.0)):
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise ConfigError(
                    f"{name} cannot be {value}",
                    where=f"--{name.replace('_', '-')}",
                    expected=f"0 to {most:g}",
                )

    @property
    def active(self) -> bool:
        """Whether anything is changed at all."""
        return any((self.rotate_deg, self.shift, self.zoom, self.contrast))
