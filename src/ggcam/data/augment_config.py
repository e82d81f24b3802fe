"""Options of the augmentation. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass

from ggcam.errors import ConfigError


@dataclass(frozen=True)
class AugmentConfig:
    """Limits of the random changes of training images. Chest X-rays are not mirrored: the heart is on the left.

    Attributes:
        rotate_deg: maximum rotation in either direction, in degrees.
        shift: maximum shift in either direction, as a fraction of the side.
        zoom: maximum zoom; the scale is between 1 / (1 + zoom) and 1 + zoom.
        contrast: maximum change of contrast and brightness, as a fraction.
    """

    rotate_deg: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    contrast: float = 0.0

    def __post_init__(self) -> None:
        for name, maximum in (("rotate_deg", 180.0), ("shift", 1.0), ("zoom", 10.0), ("contrast", 1.0)):
            value = getattr(self, name)
            if not 0 <= value <= maximum:
                raise ConfigError(
                    f"{name} cannot be {value}",
                    where=f"--{name.replace('_', '-')}",
                    expected=f"0 to {maximum:g}",
                )

    @property
    def active(self) -> bool:
        """Whether any limit is above 0."""
        return any((self.rotate_deg, self.shift, self.zoom, self.contrast))
