"""Position of the images of EGD-CXR on the screen: padding, and pixels per degree of visual angle."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from ggcam.data.tables import Table

WIDTH_PX, HEIGHT_PX = 1920, 1080
MM_PER_PX = 0.311
"""A 27-inch screen, 597 mm wide, at 1920x1080."""

CANVAS_HEIGHT_PX = 1024
"""The images were scaled so that the longer side has this many pixels, and padded to 1920x1024."""

_PADS = ("image_top_pad", "image_bottom_pad", "image_left_pad", "image_right_pad")
PAD_COLUMNS = (*_PADS, *(pad.removesuffix("_pad") for pad in _PADS))
"""Older master sheets have image_top where newer ones have image_top_pad."""


@dataclass(frozen=True, eq=False)
class EgdScreen:
    """Position of each case's image on the screen.

    The whole image fills what the padding leaves of 1920x1080: this is how the released X_ORIGINAL and Y_ORIGINAL were
    computed, although the padding belongs to a canvas 1024 pixels high. Which of the two the reader saw is unknown; for
    portrait images it does not matter horizontally, and otherwise it is at most about 2.6 % of the height.

    Attributes:
        corner_px: left and top edge of the image on the screen, shape (cases, 2).
        magnification: image pixels per screen pixel along x and y, shape (cases, 2).
        px_per_degree: image pixels per degree of visual angle along x and y, shape (cases, 2).
    """

    corner_px: Float[np.ndarray, "cases 2"]
    magnification: Float[np.ndarray, "cases 2"]
    px_per_degree: Float[np.ndarray, "cases 2"]

    @classmethod
    def from_pads(cls, cases: Table, sizes: Int[np.ndarray, "cases 2"], viewing_distance_cm: float) -> EgdScreen:
        """Compute the positions from the padding in the master sheet, or from the size where it is missing there.

        One degree at the centre of the view spans 2 d tan(0.5 deg) on the screen, for the viewing distance d.

        Args:
            cases: rows of the master sheet.
            sizes: height and width of each image in pixels.
            viewing_distance_cm: distance of the reader from the screen.

        Returns:
            The positions, in the order of the rows.

        Raises:
            TableError: the padding leaves no room for the image.
        """
        height, width = sizes.T
        ratio = CANVAS_HEIGHT_PX / sizes.max(axis=1)
        vertical, horizontal = CANVAS_HEIGHT_PX - np.floor(height * ratio), WIDTH_PX - np.floor(width * ratio)
        computed = (vertical // 2, vertical - vertical // 2, horizontal // 2, horizontal - horizontal // 2)
        top, bottom, left, right = (
            np.where(np.isnan(pad), default, pad)
            for pad, default in zip((_read_pad(cases, name) for name in _PADS), computed, strict=True)
        )
        displayed = np.stack([WIDTH_PX - left - right, HEIGHT_PX - top - bottom], axis=1)
        magnification = sizes[:, ::-1] / displayed
        screen_px_per_degree = 2 * viewing_distance_cm * 10 * math.tan(math.radians(0.5)) / MM_PER_PX
        return cls(np.stack([left, top], axis=1), magnification, screen_px_per_degree * magnification)

    def to_image(
        self, case: Int[np.ndarray, " n"], x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Map fractions of the screen to pixels of the images.

        Args:
            case: index of each point's case.
            x: positions to the right, as fractions of the screen's width.
            y: positions downwards, as fractions of the screen's height.

        Returns:
            x_px and y_px in continuous pixels of the images.
        """
        points = np.stack([x * WIDTH_PX, y * HEIGHT_PX], axis=1)
        on_image = (points - self.corner_px[case]) * self.magnification[case]
        return on_image[:, 0], on_image[:, 1]


def _read_pad(cases: Table, pad: str) -> Float[np.ndarray, " cases"]:
    """Read the padding of one side in canvas pixels, under its newer or older name; NaN if it is missing."""
    name = next((name for name in (pad, pad.removesuffix("_pad")) if name in cases), None)
    if name is None:
        return np.full(len(cases), np.nan)
    found = cases.numbers(name, allow_blank=True)
    limit = (HEIGHT_PX if "top" in pad or "bottom" in pad else WIDTH_PX) / 2
    invalid = (found < 0) | (found >= limit)
    cases.refuse(invalid, f"{name} leaves no room for the image", name, f"0 to {limit:.0f} pixels")
    return found
