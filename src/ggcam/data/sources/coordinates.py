"""Recorded coordinates -> pixels of the images: shares, pixels, and a screen on which the image was shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from ggcam.errors import ConfigError

Units = Literal["px", "fraction", "screen_px", "screen_fraction"]
"""Pixels of the image, shares of the image, pixels of the screen, shares of the screen."""


@dataclass(frozen=True)
class CoordinateSystem:
    """What recorded coordinates mean.

    Attributes:
        units: of the coordinates.
        size_px: width and height of the screen; needed for shares of it, and where `image_rect` is not given.
        image_rect: left, top, right and bottom edge of the image on the screen, in its pixels; by default the image is
            taken to be as large as it goes, in the middle.
        px_per_degree: pixels per degree of visual angle; of the screen where the units are, else of the image.
    """

    units: Units = "px"
    size_px: tuple[int, int] | None = None
    image_rect: tuple[float, float, float, float] | None = None
    px_per_degree: float = np.nan

    def __post_init__(self) -> None:
        on_screen = self.units.startswith("screen")
        if on_screen and not self.size_px and (not self.image_rect or self.units == "screen_fraction"):
            raise ConfigError(
                f"coordinates in {self.units} need the size of the screen",
                where="--screen",
                hint="give it, as 1920x1080" + ("" if self.units == "screen_fraction" else "; or --image-rect"),
            )
        if self.image_rect and not on_screen:
            raise ConfigError(
                "a place on the screen says nothing about coordinates on the image", where="--image-rect, --units"
            )
        if self.image_rect and (self.image_rect[2] <= self.image_rect[0] or self.image_rect[3] <= self.image_rect[1]):
            raise ConfigError("the image has no area there", where="--image-rect", expected="left top right bottom")
        if self.px_per_degree <= 0:
            raise ConfigError("pixels per degree must be above 0", where="--px-per-degree", got=self.px_per_degree)

    @classmethod
    def parse_size(cls, text: str) -> tuple[int, int]:
        """Read "WIDTHxHEIGHT", such as "1920x1080".

        Raises:
            ConfigError: the text is not of that form.
        """
        try:
            width, height = (int(part) for part in text.lower().split("x"))
        except ValueError:
            width = height = 0
        if min(width, height) <= 0:
            raise ConfigError("a screen is WIDTHxHEIGHT in pixels", where="--screen", got=repr(text))
        return width, height

    def to_image(
        self, x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], sizes: Int[np.ndarray, "n 2"]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"], Float[np.ndarray, "n 2"]]:
        """Carry points over.

        Args:
            x: to the right, in the units.
            y: downwards.
            sizes: height and width in pixels of the image of each point.

        Returns:
            x_px and y_px in continuous pixels of the image, and its pixels per degree along x and y, shape (n, 2).
        """
        width_height = sizes[:, ::-1].astype(np.float64)
        points = np.stack([x, y], axis=1)
        magnification = np.ones_like(width_height)
        if self.units == "fraction":
            points = points * width_height
        elif self.units != "px":
            if self.units == "screen_fraction" and self.size_px:
                points = points * self.size_px
            corner, shown = self._rectangle(width_height)
            magnification = width_height / shown
            points = (points - corner) * magnification
        return points[:, 0], points[:, 1], self.px_per_degree * magnification

    def _rectangle(
        self, width_height: Float[np.ndarray, "n 2"]
    ) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2"]]:
        """Upper left corner, and width and height, of each image on the screen."""
        if self.image_rect:
            edges = np.broadcast_to(np.array(self.image_rect, dtype=np.float64), (len(width_height), 4))
            return edges[:, :2], edges[:, 2:] - edges[:, :2]
        screen = np.array(self.size_px, dtype=np.float64)
        shown = width_height * (screen / width_height).min(axis=1, keepdims=True)
        return (screen - shown) / 2, shown
