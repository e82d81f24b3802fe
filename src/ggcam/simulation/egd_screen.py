"""EGD-CXR's screen: where images were shown on it, and how gaze on the screen was mapped to the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

Column = Float[np.ndarray, " n"]

SCREEN_WIDTH, SCREEN_HEIGHT = 1920, 1080
CANVAS_HEIGHT = 1024
"""Images were fitted into a canvas of this height, but the mapping to the image uses the height of the screen."""
FRACTION_DIGITS = 5


@dataclass(frozen=True)
class SimulatedScreen:
    """The place of an image on the screen.

    Attributes:
        height_px: height of the image in pixels.
        width_px: width of the image in pixels.
    """

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
        """Image pixels per screen pixel, horizontally and vertically."""
        top, bottom, left, right = self.pads
        return self.width_px / (SCREEN_WIDTH - left - right), self.height_px / (SCREEN_HEIGHT - top - bottom)

    def to_fractions(self, x_px: Column, y_px: Column) -> tuple[Column, Column]:
        """Convert image positions to FPOGX and FPOGY, rounded as in the files.

        Args:
            x_px: horizontal positions in pixels of the image.
            y_px: vertical positions in pixels of the image.

        Returns:
            Positions as fractions of the screen's width and height.
        """
        top, _, left, _ = self.pads
        scale_x, scale_y = self.scale
        fpogx = (x_px / scale_x + left) / SCREEN_WIDTH
        fpogy = (y_px / scale_y + top) / SCREEN_HEIGHT
        return np.round(fpogx, FRACTION_DIGITS), np.round(fpogy, FRACTION_DIGITS)

    def to_original(self, fpogx: Column, fpogy: Column) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """Convert FPOGX and FPOGY to X_ORIGINAL and Y_ORIGINAL.

        The mapping of EGD-CXR scales (-1, -1) for gaze off the image, and truncates. For images smaller than the canvas
        this would give 0, a position on the image, so here the result is -1 or less.

        Args:
            fpogx: horizontal positions as fractions of the screen's width.
            fpogy: vertical positions as fractions of the screen's height.

        Returns:
            Positions in whole pixels of the image; both are negative off the image.
        """
        top, bottom, left, right = self.pads
        scale_x, scale_y = self.scale
        x, y = fpogx * SCREEN_WIDTH, fpogy * SCREEN_HEIGHT
        on_image = (left < x) & (x < SCREEN_WIDTH - right) & (top < y) & (y < SCREEN_HEIGHT - bottom)
        original_x = np.where(on_image, scale_x * (x - left), min(-1.0, -scale_x)).astype(np.int64)
        original_y = np.where(on_image, scale_y * (y - top), min(-1.0, -scale_y)).astype(np.int64)
        return original_x, original_y
