"""EGD-CXR's screen: how its images lay on it, and how its gaze was carried back to the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

Column = Float[np.ndarray, " n"]

SCREEN_WIDTH, SCREEN_HEIGHT = 1920, 1080
CANVAS_HEIGHT = 1024
"""The images were fitted into a canvas of this height; the mapping back uses the screen's."""
FRACTION_DIGITS = 5


@dataclass(frozen=True)
class SimulatedScreen:
    """The place on the screen of an image of the given size."""

    height_px: int
    width_px: int

    @property
    def pads(self) -> tuple[int, int, int, int]:
        """Canvas pixels above, below, left and right of the image: the image_*_pad columns."""
        ratio = CANVAS_HEIGHT / max(self.height_px, self.width_px)
        across, down = SCREEN_WIDTH - int(self.width_px * ratio), CANVAS_HEIGHT - int(self.height_px * ratio)
        return down // 2, down - down // 2, across // 2, across - across // 2

    @property
    def scale(self) -> tuple[float, float]:
        """Image pixels per screen pixel, to the right and downwards."""
        top, bottom, left, right = self.pads
        return self.width_px / (SCREEN_WIDTH - left - right), self.height_px / (SCREEN_HEIGHT - top - bottom)

    def to_fractions(self, x_px: Column, y_px: Column) -> tuple[Column, Column]:
        """FPOGX and FPOGY of places in the image, rounded as the files hold them."""
        top, _, left, _ = self.pads
        scale_x, scale_y = self.scale
        fpogx = (x_px / scale_x + left) / SCREEN_WIDTH
        fpogy = (y_px / scale_y + top) / SCREEN_HEIGHT
        return np.round(fpogx, FRACTION_DIGITS), np.round(fpogy, FRACTION_DIGITS)

    def to_original(self, fpogx: Column, fpogy: Column) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """X_ORIGINAL and Y_ORIGINAL: whole pixels of the image, both negative beside it.

        The released mapping scales (-1, -1) and truncates. On the full-size originals this leaves a negative number;
        on an image smaller than the canvas it would leave 0, a place in the image, so -1 is the most that it becomes.
        """
        top, bottom, left, right = self.pads
        scale_x, scale_y = self.scale
        x, y = fpogx * SCREEN_WIDTH, fpogy * SCREEN_HEIGHT
        on_image = (left < x) & (x < SCREEN_WIDTH - right) & (top < y) & (y < SCREEN_HEIGHT - bottom)
        original_x = np.where(on_image, scale_x * (x - left), min(-1.0, -scale_x)).astype(np.int64)
        original_y = np.where(on_image, scale_y * (y - top), min(-1.0, -scale_y)).astype(np.int64)
        return original_x, original_y
