"""Recorded gaze coordinates to pixels of the images: fractions or pixels, of the image or of the screen it was on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from ggcam.errors import ConfigError

Units = Literal["px", "fraction", "screen_px", "screen_fraction"]
"""Pixels of the image, fractions of the image, pixels of the screen, fractions of the screen."""


@dataclass(frozen=True)
class CoordinateSystem:
    """The meaning of recorded coordinates.

    Attributes:
        units: units of the coordinates.
        screen_px: width and height of the screen; required for fractions of it, and if `image_rect` is not given.
        image_rect: left, top, right and bottom edge of the image on the screen, in pixels of the screen. By default the
            image is as large as fits on the screen, and centred.
        px_per_degree: pixels per degree of visual angle: of the screen if the units refer to the screen, otherwise of
            the image. NaN if unknown.
    """

    units: Units = "px"
    screen_px: tuple[int, int] | None = None
    image_rect: tuple[float, float, float, float] | None = None
    px_per_degree: float = np.nan

    def __post_init__(self) -> None:
        on_screen = self.units.startswith("screen")
        if on_screen and not self.screen_px and (not self.image_rect or self.units == "screen_fraction"):
            raise ConfigError(
                f"coordinates in {self.units} require the size of the screen",
                where="--screen",
                hint="pass it, such as 1920x1080"
                + ("" if self.units == "screen_fraction" else "; or pass --image-rect"),
            )
        if self.image_rect and not on_screen:
            raise ConfigError(
                "the position of the image on the screen has no meaning for coordinates relative to the image",
                where="--image-rect, --units",
            )
        if self.image_rect and (self.image_rect[2] <= self.image_rect[0] or self.image_rect[3] <= self.image_rect[1]):
            raise ConfigError("the image rectangle has no area", where="--image-rect", expected="left top right bottom")
        if self.px_per_degree <= 0:
            raise ConfigError("pixels per degree must be above 0", where="--px-per-degree", got=self.px_per_degree)

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
        try:
            width, height = (int(part) for part in text.lower().split("x"))
        except ValueError:
            width = height = 0
        if min(width, height) <= 0:
            raise ConfigError("the size of a screen is WIDTHxHEIGHT in pixels", where="--screen", got=repr(text))
        return width, height

    def to_image(
        self, x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], sizes: Int[np.ndarray, "n 2"]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"], Float[np.ndarray, "n 2"]]:
        """Map points to pixels of their images.

        Args:
            x: positions to the right, in `units`.
            y: positions downwards, in `units`.
            sizes: height and width in pixels of each point's image.

        Returns:
            x_px and y_px in continuous pixels of the image, and its pixels per degree along x and y, shape (n, 2).
        """
        width_height = sizes[:, ::-1].astype(np.float64)
        points = np.stack([x, y], axis=1)
        magnification = np.ones_like(width_height)
        if self.units == "fraction":
            points = points * width_height
        elif self.units != "px":
            if self.units == "screen_fraction" and self.screen_px:
                points = points * self.screen_px
            corner, displayed = self._displayed(width_height)
            magnification = width_height / displayed
            points = (points - corner) * magnification
        return points[:, 0], points[:, 1], self.px_per_degree * magnification

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
