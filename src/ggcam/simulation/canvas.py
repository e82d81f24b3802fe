"""Drawing on a grid of pixels: filled outlines, strokes, soft spots, clouds; all layers float32, (height, width)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import cv2
import numpy as np
from jaxtyping import Float
from numpy.random import Generator

Layer = Float[np.ndarray, "height width"]
Points = Float[np.ndarray, "_ 2"]

CANONICAL_ASPECT = 208 / 256
_SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class Canvas:
    """A grid of pixels and the unit in which a chest is drawn on it.

    Points are (x_px, y_px), continuous, from the top-left corner, as everywhere.
    """

    height_px: int
    width_px: int

    @property
    def unit_px(self) -> float:
        """Pixels of one body unit: the height of the largest upright 208:256 rectangle that the grid holds."""
        return min(self.height_px, self.width_px / CANONICAL_ASPECT)

    @cached_property
    def x_px(self) -> Float[np.ndarray, "1 width"]:
        """Horizontal position of each pixel's centre, shape (1, width)."""
        return np.arange(self.width_px, dtype=np.float32)[None, :] + np.float32(0.5)

    @cached_property
    def y_px(self) -> Float[np.ndarray, "height 1"]:
        """Vertical position of each pixel's centre, shape (height, 1)."""
        return np.arange(self.height_px, dtype=np.float32)[:, None] + np.float32(0.5)

    def fill(self, *outlines: Points) -> Layer:
        """The union of filled outlines, 0 to 1."""
        layer = np.zeros((self.height_px, self.width_px), np.uint8)
        for outline in outlines:
            cv2.fillPoly(layer, [_fixed(outline)], 255, cv2.LINE_AA, _SUBPIXEL_BITS)
        return layer.astype(np.float32) * np.float32(1 / 255)

    def stroke(self, lines: Float[np.ndarray, "_ _ 2"], width_px: float) -> Layer:
        """Lines of one width, 0 to 1; a line thinner than a pixel is fainter instead."""
        layer = np.zeros((self.height_px, self.width_px), np.uint8)
        strength = round(255 * min(1.0, width_px))
        cv2.polylines(layer, list(_fixed(lines)), False, strength, max(1, round(width_px)), cv2.LINE_AA, _SUBPIXEL_BITS)
        return layer.astype(np.float32) * np.float32(1 / 255)

    def spot(self, x_px: float, y_px: float, rx_px: float, ry_px: float, angle_rad: float = 0.0) -> Layer:
        """A Gaussian with maximum 1 and the given standard deviations along its two axes."""
        if angle_rad == 0:
            row = np.exp(-0.5 * ((self.x_px - x_px) / rx_px) ** 2)
            return (np.exp(-0.5 * ((self.y_px - y_px) / ry_px) ** 2) * row).astype(np.float32)
        return np.exp(-0.5 * self.distance2(x_px, y_px, rx_px, ry_px, angle_rad))

    def distance2(self, x_px: float, y_px: float, rx_px: float, ry_px: float, angle_rad: float = 0.0) -> Layer:
        """Squared distance from a centre, measured in the semi-axes of a turned ellipse: 1 on its outline."""
        dx, dy = self.x_px - np.float32(x_px), self.y_px - np.float32(y_px)
        cos, sin = np.float32(np.cos(angle_rad)), np.float32(np.sin(angle_rad))
        u = (cos * dx + sin * dy) / np.float32(rx_px)
        v = (cos * dy - sin * dx) / np.float32(ry_px)
        return u * u + v * v

    def cloud(self, rng: Generator, cell_px: float) -> Layer:
        """Smooth noise of unit variance (about), with structures of the given size."""
        shape = (int(self.height_px / cell_px) + 2, int(self.width_px / cell_px) + 2)
        coarse = rng.standard_normal(shape, dtype=np.float32)
        return 1.5 * cv2.resize(coarse, (self.width_px, self.height_px), interpolation=cv2.INTER_CUBIC)


def blur(layer: Layer, sigma_px: float) -> Layer:
    """Gaussian blur with replicated border; a wide one is done on a smaller grid."""
    shrink = int(sigma_px / 1.8)
    if shrink > 1:
        height, width = layer.shape
        small = cv2.resize(layer, (max(1, width // shrink), max(1, height // shrink)), interpolation=cv2.INTER_AREA)
        return cv2.resize(_gaussian(small, sigma_px / shrink), (width, height), interpolation=cv2.INTER_LINEAR)
    return _gaussian(layer, sigma_px)


def _gaussian(layer: Layer, sigma_px: float) -> Layer:
    side = 2 * round(2.6 * sigma_px) + 1
    return cv2.GaussianBlur(layer, (side, side), sigma_px, borderType=cv2.BORDER_REPLICATE)


def inside(distance2: Layer, sharpness: float) -> Layer:
    """1 within the outline where the squared distance is 1, 0 outside, with an edge of the given sharpness."""
    return 0.5 - 0.5 * np.tanh(np.float32(0.5 * sharpness) * (distance2 - 1))


def curve(points: Points, closed: bool, steps: int = 6) -> Points:
    """A smooth line through points (Catmull-Rom); a point given twice makes a corner."""
    return _catmull_rom(len(points), closed, steps) @ points


@cache
def _catmull_rom(count: int, closed: bool, steps: int) -> np.ndarray:
    """Matrix from control points to points on the curve."""
    t = np.arange(steps)[:, None] / steps
    weights = np.hstack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3]) / 2
    spans = count if closed else count - 1
    matrix = np.zeros((spans * steps + (not closed), count))
    for span in range(spans):
        for k in range(4):
            control = span + k - 1
            control = control % count if closed else min(max(control, 0), count - 1)
            matrix[span * steps : (span + 1) * steps, control] += weights[:, k]
    if not closed:
        matrix[-1, -1] = 1
    return matrix


def _fixed(points: np.ndarray) -> np.ndarray:
    # OpenCV's integer coordinates name pixel centres; ours have pixel corners at whole numbers.
    return np.rint((points - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
