"""REFLACX's screen: which part of the image is shown, zoomed and panned, and where on the screen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.random import Generator

from ggcam.gaze.visual_angle import FALLBACK_IMAGE_SIDE_DEG
from ggcam.simulation.scanpath import SimulatedGaze

LEFT_PX, RIGHT_PX, HEIGHT_PX = 660, 3180, 2160
"""Area of the screen of 3840x2160 that shows the image, between columns of buttons."""

PX_PER_DEGREE = HEIGHT_PX / FALLBACK_IMAGE_SIDE_DEG
"""Of the screen."""

ZOOMS = (1.5, 2.0, 3.0)
ZOOM_PROB = 0.3
"""Approximate share of fixations on a zoomed image."""


@dataclass(frozen=True, eq=False)
class ScreenViews:
    """The part of the image that was shown during each fixation.

    Attributes:
        shown_px: left, top, right and bottom of the shown part, in pixels of the image, shape (n, 4).
        screen_px: left, top, right and bottom of its place on the screen, in pixels of the screen, shape (n, 4).
    """

    shown_px: Int[np.ndarray, "n 4"]
    screen_px: Int[np.ndarray, "n 4"]

    @property
    def px_per_degree(self) -> Float[np.ndarray, "n 2"]:
        """Image pixels per degree of visual angle at that zoom, horizontally and vertically."""
        sides = (rectangle[:, 2:] - rectangle[:, :2] for rectangle in (self.shown_px, self.screen_px))
        shown, screen = sides
        return PX_PER_DEGREE * shown / screen


def draw_views(gaze: SimulatedGaze, height_px: int, width_px: int, rng: Generator) -> ScreenViews:
    """Draw which part of the image is shown; the reader zooms in at times, and pans to what they look at.

    Args:
        gaze: the reader's gaze.
        height_px: height of the image in pixels.
        width_px: width of the image in pixels.
        rng: random generator of the case.

    Returns:
        One view per fixation.
    """
    zoom = np.ones(len(gaze.x_px))
    for first in np.flatnonzero(rng.random(len(zoom)) < ZOOM_PROB / 5).tolist():
        zoom[first : first + rng.integers(3, 9)] = rng.choice(ZOOMS)
    size, area = np.array([width_px, height_px]), np.array([RIGHT_PX - LEFT_PX, HEIGHT_PX])
    scale = (area / size).min() * zoom[:, None]
    extent = np.minimum(area, size * scale)
    shown = np.clip(np.rint(extent / scale), 1, size)
    looked_at = np.stack([gaze.x_px, gaze.y_px], axis=1)
    corner = np.rint(looked_at - shown * rng.uniform(0.3, 0.7, (len(zoom), 2)))
    corner = np.clip(corner, 0, size - shown)
    on_screen = np.array([LEFT_PX, 0]) + (area - extent) / 2
    return ScreenViews(
        np.concatenate([corner, corner + shown], axis=1).astype(np.int64),
        np.rint(np.concatenate([on_screen, on_screen + extent], axis=1)).astype(np.int64),
    )
