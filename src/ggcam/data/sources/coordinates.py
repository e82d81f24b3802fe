"""Recorded gaze coordinates to pixels of the images, from any unit and origin, of the image or of the screen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from ggcam.errors import ConfigError

Units = Literal["px", "fraction", "percent", "screen_px", "screen_fraction", "screen_percent", "screen_mm"]
"""Pixels, fractions or percent of the image or, with "screen_", of the screen; millimetres on the screen."""

Origin = Literal["top-left", "bottom-left", "centre"]
"""Where x = y = 0 lies. From the bottom left and from the centre, y points upwards."""

ImageRect = tuple[float, float, float, float]
"""Left, top, right and bottom edge of an image on the screen, in pixels of the screen."""

SHARE: dict[str, float] = {"fraction": 1.0, "percent": 0.01}
"""Units that are shares of the width and height -> the value of one unit."""


@dataclass(frozen=True)
class CoordinateSystem:
    """The meaning of recorded coordinates.

    Attributes:
        units: units of the coordinates.
        screen_px: width and height of the screen; required for shares of it, and if `image_rect` is not given.
        image_rect: edges of the image on the screen. By default the image is as large as fits on the screen, and
            centred.
        px_per_degree: pixels per degree of visual angle: of the screen if the units refer to the screen, otherwise of
            the image. NaN if unknown.
        origin: where the coordinates are 0.
        screen_mm: width and height of the screen in millimetres; required for positions in millimetres.
    """

    units: Units = "px"
    screen_px: tuple[int, int] | None = None
    image_rect: ImageRect | None = None
    px_per_degree: float = np.nan
    origin: Origin = "top-left"
    screen_mm: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        needs_size = self.units not in ("px", "screen_px") or self.origin != "top-left"
        if self.on_screen and not self.screen_px and (not self.image_rect or needs_size):
            raise ConfigError(
                f"coordinates in {self.units} require the size of the screen",
                where="--screen",
                hint="pass it, such as 1920x1080" + ("" if needs_size else "; or pass --image-rect"),
            )
        if self.units == "screen_mm" and not self.screen_mm:
            raise ConfigError(
                "positions in millimetres require the size of the screen in millimetres",
                where="--screen-mm",
                hint="pass it, such as 531x299",
            )
        if self.image_rect and not self.on_screen:
            raise ConfigError(
                "the position of the image on the screen has no meaning for coordinates relative to the image",
                where="--image-rect, --units",
            )
        left, top, right, bottom = self.image_rect or (0.0, 0.0, 1.0, 1.0)
        if not (right > left and bottom > top):
            raise ConfigError("the image rectangle has no area", where="--image-rect", expected="left top right bottom")
        if self.px_per_degree <= 0 or math.isinf(self.px_per_degree):
            raise ConfigError(
                "pixels per degree must be above 0 and finite", where="--px-per-degree", got=self.px_per_degree
            )

    @property
    def on_screen(self) -> bool:
        """Whether the coordinates refer to the screen and not to the image."""
        return self.units.startswith("screen")

    @classmethod
    def parse_screen(cls, text: str) -> tuple[int, int]:
        """Parse the size of a screen.

        Args:
            text: "WIDTHxHEIGHT", such as "1920x1080".

        Returns:
            Width and height in pixels.

        Raises:
            ConfigError: the text does not have this form.
        """
        width, height = _parse_size(text, "--screen", "pixels")
        if width != int(width) or height != int(height):
            raise ConfigError("the size of a screen is WIDTHxHEIGHT in pixels", where="--screen", got=repr(text))
        return int(width), int(height)

    @classmethod
    def parse_screen_mm(cls, text: str) -> tuple[float, float]:
        """Parse the physical size of a screen.

        Args:
            text: "WIDTHxHEIGHT", such as "531x299".

        Returns:
            Width and height in millimetres.

        Raises:
            ConfigError: the text does not have this form.
        """
        return _parse_size(text, "--screen-mm", "millimetres")

    def to_image(
        self, x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], sizes: Int[np.ndarray, "n 2"]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"], Float[np.ndarray, "n 2"]]:
        """Map points to pixels of their images.

        Args:
            x: positions to the right, in `units`, from `origin`.
            y: positions in `units`, from `origin`.
            sizes: height and width in pixels of each point's image.

        Returns:
            x_px and y_px in continuous pixels of the image, and its pixels per degree along x and y, shape (n, 2).
        """
        width_height = sizes[:, ::-1].astype(np.float64)
        on_known_screen = self.on_screen and self.screen_px is not None
        screen = np.array(self.screen_px, dtype=np.float64)
        area = np.broadcast_to(screen, width_height.shape) if on_known_screen else width_height
        points = self._from_top_left(np.stack([x, y], axis=1), area)
        magnification = np.ones_like(width_height)
        if self.on_screen:
            corner, displayed = self._displayed(width_height)
            magnification = width_height / displayed
            points = (points - corner) * magnification
        return points[:, 0], points[:, 1], self.px_per_degree * magnification

    def _from_top_left(self, points: Float[np.ndarray, "n 2"], area: Float[np.ndarray, "n 2"]) -> np.ndarray:
        """Convert points to pixels from the top left corner of an area, the screen or the image."""
        share = SHARE.get(self.units.removeprefix("screen_"))
        if share is not None:
            points = points * share * area
        elif self.screen_mm and self.units == "screen_mm":
            points = points / np.array(self.screen_mm) * area
        if self.origin == "bottom-left":
            return points * (1, -1) + area * (0, 1)
        return points * (1, -1) + area / 2 if self.origin == "centre" else points

    def _displayed(
        self, width_height: Float[np.ndarray, "n 2"]
    ) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2"]]:
        """Upper left corner, and width and height, of each image on the screen."""
        if self.image_rect:
            edges = np.broadcast_to(np.array(self.image_rect, dtype=np.float64), (len(width_height), 4))
            return edges[:, :2], edges[:, 2:] - edges[:, :2]
        screen = np.array(self.screen_px, dtype=np.float64)
        displayed = width_height * (screen / width_height).min(axis=1, keepdims=True)
        return (screen - displayed) / 2, displayed


def check_units(
    x: Float[np.ndarray, " n"],
    y: Float[np.ndarray, " n"],
    coordinates: CoordinateSystem,
    where: object,
    shortest_side_px: int = 0,
) -> None:
    """Refuse positions that cannot be in the given units, or cannot have the given origin.

    Args:
        x: positions.
        y: positions.
        coordinates: their assumed meaning.
        where: the file, for messages.
        shortest_side_px: of the images, if pixels of the image are only assumed; then positions up to 100 in larger
            images are refused, since they may be percent.

    Raises:
        ConfigError: the positions are in other units, or have another origin.
    """
    values = np.concatenate([x, y])
    values = values[np.isfinite(values)]
    if len(values) < MIN_VALUES:
        return
    unit, screen = coordinates.units.removeprefix("screen_"), "screen_" if coordinates.on_screen else ""
    found = expected = None
    if unit == "fraction" and np.median(np.abs(values)) > 2:
        found, expected = "most are above 2", f"{screen}px or {screen}percent"
    elif unit != "fraction" and len(values) >= MANY_VALUES and 0 < np.abs(values).max() <= 1.1:
        found, expected = "none is above 1.1", f"{screen}fraction"
    elif len(values) >= MANY_VALUES and 50 < np.abs(values).max() <= 100 and shortest_side_px >= MIN_SIDE_PX:
        found, expected = "none is above 100 in much larger images", "percent; or px if they are pixels"
    if found:
        raise ConfigError(
            f"the coordinates do not look like {_UNIT_WORDS[unit]}: {found}",
            where=f"{where}, --units {coordinates.units}",
            hint=f"pass --units {expected}",
        )
    negative = min(np.mean(axis[np.isfinite(axis)] < 0) for axis in (x, y))
    if coordinates.origin == "top-left" and len(values) >= MANY_VALUES and negative > MAX_NEGATIVE:
        raise ConfigError(
            f"{negative:.0%} of the positions are negative, which does not look like an origin in the top left corner",
            where=f"{where}, --origin {coordinates.origin}",
            hint="pass --origin centre if x = y = 0 is the middle of the screen or image",
        )


MIN_VALUES, MANY_VALUES = 6, 40
"""Fewer coordinates do not show that they are no fractions; or are fractions, or have another origin."""

MAX_NEGATIVE = 0.25
"""Larger shares of negative coordinates show an origin in the middle."""

MIN_SIDE_PX = 250
"""Smaller images do not tell percent from pixels."""

_UNIT_WORDS = {"px": "pixels", "mm": "millimetres", "percent": "percent", "fraction": "fractions"}


def _parse_size(text: str, option: str, unit: str) -> tuple[float, float]:
    try:
        width, height = (float(part) for part in text.lower().split("x"))
    except ValueError:
        width = height = 0.0
    if not (0 < width < math.inf and 0 < height < math.inf):
        raise ConfigError(f"the size of a screen is WIDTHxHEIGHT in {unit}", where=option, got=repr(text))
    return width, height
