"""Where an image of EGD-CXR stood on the screen: pads, and pixels per degree of visual angle."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from ggcam.data.tables import Table

WIDTH_PX, HEIGHT_PX = 1920, 1080
MM_PER_PX = 0.311
"""A screen of 27 inches, 597 mm wide, run at 1920x1080."""

CANVAS_HEIGHT_PX = 1024
"""The images were scaled so that the longer side measures this, and padded to 1920x1024."""

_PADS = ("image_top_pad", "image_bottom_pad", "image_left_pad", "image_right_pad")
PAD_COLUMNS = (*_PADS, *(pad.removesuffix("_pad") for pad in _PADS))
"""Older master sheets say image_top where newer ones say image_top_pad."""


@dataclass(frozen=True, eq=False)
class EgdScreen:
    """Geometry of each case's image on the screen.

    What the pads leave of 1920x1080 shows the whole image: so the released X_ORIGINAL and Y_ORIGINAL were computed,
    although the pads are those of a canvas 1024 high. Which of the two a reader saw is not known; for portrait images
    it makes no difference to the left and right, and at most some 2.6 % of the height otherwise.

    Attributes:
        corner_px: left and top edge of the image on the screen, shape (cases, 2).
        magnification: image pixels per screen pixel, to the right and downwards, shape (cases, 2).
        px_per_degree: image pixels per degree of visual angle, shape (cases, 2).
    """

    corner_px: Float[np.ndarray, "cases 2"]
    magnification: Float[np.ndarray, "cases 2"]
    px_per_degree: Float[np.ndarray, "cases 2"]

    @classmethod
    def from_pads(cls, cases: Table, sizes: Int[np.ndarray, "cases 2"], viewing_distance_cm: float) -> EgdScreen:
        """Work it out from the master sheet; where that has no pads, from the rule by which the images were padded.

        One degree at the centre of the view spans 2 d tan(0.5 deg) on the screen.

        Raises:
            TableError: pads that leave no room for the image.
        """
        height, width = sizes.T
        ratio = CANVAS_HEIGHT_PX / sizes.max(axis=1)
        down, across = CANVAS_HEIGHT_PX - np.floor(height * ratio), WIDTH_PX - np.floor(width * ratio)
        by_rule = (down // 2, down - down // 2, across // 2, across - across // 2)
        top, bottom, left, right = (
            np.where(np.isnan(pad), rule, pad)
            for pad, rule in zip((_pad(cases, name) for name in _PADS), by_rule, strict=True)
        )
        shown = np.stack([WIDTH_PX - left - right, HEIGHT_PX - top - bottom], axis=1)
        magnification = sizes[:, ::-1] / shown
        screen_px = 2 * viewing_distance_cm * 10 * math.tan(math.radians(0.5)) / MM_PER_PX
        return cls(np.stack([left, top], axis=1), magnification, screen_px * magnification)

    def to_image(
        self, case: Int[np.ndarray, " n"], x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Shares of the screen -> continuous pixels of each point's image."""
        points = np.stack([x * WIDTH_PX, y * HEIGHT_PX], axis=1)
        on_image = (points - self.corner_px[case]) * self.magnification[case]
        return on_image[:, 0], on_image[:, 1]


def _pad(cases: Table, pad: str) -> Float[np.ndarray, " cases"]:
    """Canvas pixels of padding at one side, under the newer name or the older; NaN where the sheet says nothing."""
    name = next((name for name in (pad, pad.removesuffix("_pad")) if name in cases), None)
    if name is None:
        return np.full(len(cases), np.nan)
    found = cases.numbers(name, blank=True)
    most = (HEIGHT_PX if "top" in pad or "bottom" in pad else WIDTH_PX) / 2
    cases.refuse((found < 0) | (found >= most), f"{name} leaves no room for the image", name, f"0 to {most:.0f} pixels")
    return found
