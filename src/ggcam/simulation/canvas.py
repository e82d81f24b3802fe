"""Drawing on a grid of pixels: filled outlines, strokes, soft spots, noise. Layers are float32, (height, width)."""

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
    """A grid of pixels, and the unit of length for drawing a chest on it.

    Points are (x_px, y_px), continuous, from the top-left corner.

    Attributes:
        height_px: height in pixels.
        width_px: width in pixels.
    """

    height_px: int
    width_px: int

    @property
    def unit_px(self) -> float:
        """Pixels per body unit: the height of the largest upright 208:256 rectangle inside the grid."""
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
        """Draw the union of filled outlines.

        Args:
            *outlines: corners of each outline, shape (n, 2).

        Returns:
            A layer from 0 to 1.
        """
        layer = np.zeros((self.height_px, self.width_px), np.uint8)
        for outline in outlines:
            cv2.fillPoly(layer, [_to_fixed_point(outline)], 255, cv2.LINE_AA, _SUBPIXEL_BITS)
        return layer.astype(np.float32) * np.float32(1 / 255)

    def stroke(self, lines: Float[np.ndarray, "_ _ 2"], width_px: float) -> Layer:
        """Draw lines.

        Args:
            lines: points of each line, shape (lines, points, 2).
            width_px: width of the lines; lines thinner than a pixel are drawn fainter instead.

        Returns:
            A layer from 0 to 1.
        """
        layer = np.zeros((self.height_px, self.width_px), np.uint8)
        strength = round(255 * min(1.0, width_px))
        cv2.polylines(
            layer, list(_to_fixed_point(lines)), False, strength, max(1, round(width_px)), cv2.LINE_AA, _SUBPIXEL_BITS
        )
        return layer.astype(np.float32) * np.float32(1 / 255)

    def gaussian_spot(self, x_px: float, y_px: float, rx_px: float, ry_px: float, angle_rad: float = 0.0) -> Layer:
        """Draw a Gaussian with maximum 1.

        Args:
            x_px: horizontal centre.
            y_px: vertical centre.
            rx_px: standard deviation along the first axis.
            ry_px: standard deviation along the second axis.
            angle_rad: angle of the first axis.

        Returns:
            The layer.
        """
        if angle_rad == 0:
            row = np.exp(-0.5 * ((self.x_px - x_px) / rx_px) ** 2)
            return (np.exp(-0.5 * ((self.y_px - y_px) / ry_px) ** 2) * row).astype(np.float32)
        return np.exp(-0.5 * self.squared_distance(x_px, y_px, rx_px, ry_px, angle_rad))

    def squared_distance(self, x_px: float, y_px: float, rx_px: float, ry_px: float, angle_rad: float = 0.0) -> Layer:
        """Compute the squared distance from the centre of an ellipse, in units of its semi-axes.

        Args:
            x_px: horizontal centre.
            y_px: vertical centre.
            rx_px: first semi-axis.
            ry_px: second semi-axis.
            angle_rad: angle of the first semi-axis.

        Returns:
            A layer that is 1 on the outline of the ellipse.
        """
        dx, dy = self.x_px - np.float32(x_px), self.y_px - np.float32(y_px)
        cos, sin = np.float32(np.cos(angle_rad)), np.float32(np.sin(angle_rad))
        u = (cos * dx + sin * dy) / np.float32(rx_px)
        v = (cos * dy - sin * dx) / np.float32(ry_px)
        return u * u + v * v

    def smooth_noise(self, rng: Generator, cell_px: float) -> Layer:
        """Draw smooth noise with a variance of about 1.

        Args:
            rng: random generator.
            cell_px: size of its structures.

        Returns:
            The layer.
        """
        shape = (int(self.height_px / cell_px) + 2, int(self.width_px / cell_px) + 2)
        coarse = rng.standard_normal(shape, dtype=np.float32)
        return 1.5 * cv2.resize(coarse, (self.width_px, self.height_px), interpolation=cv2.INTER_CUBIC)


def blur(layer: Layer, sigma_px: float) -> Layer:
    """Apply a Gaussian blur with replicated border.

    Args:
        layer: layer to blur.
        sigma_px: standard deviation; a wide blur is computed on a smaller grid.

    Returns:
        The blurred layer.
    """
    shrink = int(sigma_px / 1.8)
    if shrink > 1:
        height, width = layer.shape
        small = cv2.resize(layer, (max(1, width // shrink), max(1, height // shrink)), interpolation=cv2.INTER_AREA)
        return cv2.resize(_gaussian(small, sigma_px / shrink), (width, height), interpolation=cv2.INTER_LINEAR)
    return _gaussian(layer, sigma_px)


def _gaussian(layer: Layer, sigma_px: float) -> Layer:
    side = 2 * round(2.6 * sigma_px) + 1
    return cv2.GaussianBlur(layer, (side, side), sigma_px, borderType=cv2.BORDER_REPLICATE)


def soft_mask(squared_distance: Layer, sharpness: float) -> Layer:
    """Turn the squared distance from an ellipse into a mask with a soft edge.

    Args:
        squared_distance: squared distance, 1 on the outline of the ellipse.
        sharpness: sharpness of the edge.

    Returns:
        A layer from 0 outside to 1 inside.
    """
    return 0.5 - 0.5 * np.tanh(np.float32(0.5 * sharpness) * (squared_distance - 1))


def smooth_curve(points: Points, closed: bool, steps: int = 6) -> Points:
    """Draw a Catmull-Rom spline through points.

    Args:
        points: control points; a repeated point makes a corner.
        closed: whether the curve returns to its first point.
        steps: number of points on the curve per control point.

    Returns:
        Points on the curve, shape (n, 2).
    """
    return _catmull_rom(len(points), closed, steps) @ points


@cache
def _catmull_rom(count: int, closed: bool, steps: int) -> np.ndarray:
    """Compute the matrix that maps control points to points on the curve."""
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


def _to_fixed_point(points: np.ndarray) -> np.ndarray:
    # OpenCV has pixel centres at whole numbers, the coordinates here have pixel corners there.
    return np.rint((points - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
