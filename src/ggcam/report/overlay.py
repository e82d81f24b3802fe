"""Draw CAMs, scanpaths and regions on images, as RGB arrays, and write them as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from ggcam.data.case import Region
from ggcam.data.pixel_arrays import to_uint8
from ggcam.data.png import mark_png
from ggcam.errors import ImageError
from ggcam.gaze.fixations import Fixations
from ggcam.utils.atomic import atomic_write

RGB = UInt8[np.ndarray, "H W 3"]
Colour = tuple[int, int, int]

# Okabe and Ito's palette, safe for colour-blind readers and bright enough for an X-ray or a photograph.
ORANGE: Colour = (230, 159, 0)
SKY: Colour = (86, 180, 233)
YELLOW: Colour = (240, 228, 66)

COLOUR_MAP = "inferno"
"""Perceptually uniform and safe for colour-blind readers; its dark end blends into the image."""


def stretch_to_uint8(image: np.ndarray) -> UInt8[np.ndarray, "H W *rgb"]:
    """Convert an image to 8 bits for display.

    Args:
        image: grey, shape (H, W), or RGB, shape (H, W, 3).

    Returns:
        An 8-bit image unchanged; colours of 16 bits in 8 bits; any other image stretched between its 0.5th and 99.5th
        percentile.
    """
    if image.dtype == np.uint8 or image.ndim == 3:
        return to_uint8(image)
    low, high = np.percentile(image, [0.5, 99.5])
    scaled = (image.astype(np.float32) - low) * (255 / max(high - low, 1))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def to_rgb(image: np.ndarray) -> RGB:
    """Convert an image of 8 or 16 bits to RGB of 8 bits.

    Args:
        image: grey, shape (H, W), or RGB already, shape (H, W, 3).

    Returns:
        uint8, shape (H, W, 3).
    """
    shown = stretch_to_uint8(image)
    return shown if shown.ndim == 3 else cv2.cvtColor(shown, cv2.COLOR_GRAY2RGB)


def unit_range(
    values: Float[np.ndarray, "h w"], percentiles: tuple[float, float] = (0, 100)
) -> Float[np.ndarray, "h w"]:
    """Scale values to 0..1 between two percentiles of the finite ones.

    Args:
        values: shape (h, w).
        percentiles: the percentiles that become 0 and 1; values beyond are clipped.

    Returns:
        Shape (h, w): 0 where a value is not finite, and 0 everywhere if the percentiles are equal.
    """
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros_like(values)
    low, high = np.percentile(values[finite], percentiles)
    if high <= low:
        return np.zeros_like(values)
    return np.clip((np.where(finite, values, low) - low) / (high - low), 0, 1)


def cam_overlay(
    image: np.ndarray,
    cam: Float[np.ndarray, "h w"],
    *,
    percentiles: tuple[float, float] = (0, 100),
    opacity: float = 0.65,
) -> RGB:
    """Lay a CAM, or any other map on a grid, over its image.

    The map is scaled to 0..1 between the percentiles, resized to the image (cubic), coloured, and blended with an alpha
    proportional to its value, so the image stays visible where the map is low. Constant maps and cells that are not
    finite are transparent.

    Args:
        image: grey, shape (H, W), or RGB, shape (H, W, 3); uint8 or uint16.
        cam: shape (h, w), any range; the grid spans the whole image.
        percentiles: percentiles of the map that become 0 and 1.
        opacity: alpha of the highest value, 0 to 1.

    Returns:
        uint8, shape (H, W, 3).
    """
    height, width = image.shape[:2]
    scaled = unit_range(cam.astype(np.float32), percentiles).astype(np.float32)
    value = np.clip(cv2.resize(scaled, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)
    coloured = cv2.applyColorMap(cv2.convertScaleAbs(value, alpha=255), np.ascontiguousarray(colour_table()[:, None]))
    alpha = np.float32(opacity) * value
    return cv2.blendLinear(to_rgb(image), coloured, 1 - alpha, alpha)


def colour_table() -> UInt8[np.ndarray, "256 3"]:
    """Return the colours of the maps in overlays, from the lowest to the highest value.

    Returns:
        RGB, uint8.
    """
    # Matplotlib's colours, without importing it.
    return cv2.applyColorMap(np.arange(256, dtype=np.uint8)[None], cv2.COLORMAP_INFERNO)[0, :, ::-1]


def draw_scanpath(canvas: RGB, fixations: Fixations, *, max_radius_px: float | None = None) -> RGB:
    """Draw fixations as circles, joined in order of time, on a copy of an image.

    The area of a circle is proportional to the duration of its fixation. Colours run from blue (early) to yellow
    (late). Circles are drawn over lines; fixations off the image are clipped.

    Args:
        canvas: shape (H, W, 3).
        fixations: fixations in pixels of the image, in order of time.
        max_radius_px: radius of the longest fixation; None for a thirtieth of the image's shorter side.

    Returns:
        uint8, shape (H, W, 3).
    """
    from matplotlib import colormaps

    drawn = canvas.copy()
    if not len(fixations):
        return drawn
    side = min(canvas.shape[:2])
    max_radius = side / 30 if max_radius_px is None else max_radius_px
    radius = max_radius * np.sqrt(fixations.duration_s / max(fixations.duration_s.max(), 1e-9))
    order = np.linspace(0, 1, len(fixations))
    colours = [tuple(int(v) for v in rgb) for rgb in 255 * colormaps["plasma"](order)[:, :3]]
    line_width = max(1, round(side / 400))
    points = _to_fixed_point(fixations.x_px, fixations.y_px)
    for colour, start, end in zip(colours[1:], points[:-1], points[1:], strict=True):
        cv2.line(drawn, start, end, colour, line_width, cv2.LINE_AA, shift=_SHIFT)
    for colour, centre, r in zip(colours, points, radius, strict=True):
        size = max(1, round(float(r) * 2**_SHIFT))
        cv2.circle(drawn, centre, size, colour, -1, cv2.LINE_AA, shift=_SHIFT)
        cv2.circle(drawn, centre, size, (20, 20, 20), 1, cv2.LINE_AA, shift=_SHIFT)
    return drawn


def draw_regions(canvas: RGB, regions: Sequence[Region], colour: Colour = SKY) -> RGB:
    """Draw the outlines of boxes and ellipses on a copy of an image.

    Args:
        canvas: shape (H, W, 3).
        regions: regions in pixels of the image.
        colour: RGB colour of the outlines.

    Returns:
        uint8, shape (H, W, 3).
    """
    drawn = canvas.copy()
    line_width = max(1, round(min(canvas.shape[:2]) / 200))
    for region in regions:
        corners = _to_fixed_point(np.array([region.x0_px, region.x1_px]), np.array([region.y0_px, region.y1_px]))
        if region.kind != "ellipse":
            cv2.rectangle(drawn, corners[0], corners[1], colour, line_width, cv2.LINE_AA, shift=_SHIFT)
        else:
            (x0, y0), (x1, y1) = corners
            centre, axes = ((x0 + x1) // 2, (y0 + y1) // 2), ((x1 - x0) // 2, (y1 - y0) // 2)
            cv2.ellipse(drawn, centre, axes, 0, 0, 360, colour, line_width, cv2.LINE_AA, shift=_SHIFT)
    return drawn


def enlarge(image: np.ndarray, min_side_px: int) -> np.ndarray:
    """Enlarge an image by a whole factor until its shorter side has a minimum length.

    Args:
        image: shape (H, W) or (H, W, 3).
        min_side_px: minimum length of the shorter side.

    Returns:
        The image itself if it is large enough.
    """
    factor = max(1, -(-min_side_px // min(image.shape[:2])))
    return image if factor == 1 else cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def png_bytes(image: np.ndarray) -> bytes:
    """Encode an image as PNG.

    Args:
        image: RGB, shape (H, W, 3), or grey, shape (H, W); uint8 or uint16.

    Returns:
        Content of the PNG file.

    Raises:
        ImageError: the array cannot be written as PNG.
    """
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.shape[2:] == (3,) else image)
    if not done:
        raise ImageError(f"an array of shape {image.shape} and type {image.dtype} cannot be written as PNG")
    return data.tobytes()


def save_png(path: Path, image: np.ndarray) -> None:
    """Write a picture as a PNG file, marked as drawn by ggcam so that it is never taken for an image to predict.

    Args:
        path: file to write; its folder is created if missing.
        image: as for :func:`png_bytes`.

    Raises:
        ImageError: the array cannot be written as PNG.
    """
    atomic_write(path, mark_png(png_bytes(image)))


_SHIFT = 4
"""Fractional bits of the coordinates passed to OpenCV: it draws with sixteenths of a pixel."""


def _to_fixed_point(x_px: np.ndarray, y_px: np.ndarray) -> list[tuple[int, int]]:
    """Convert continuous positions to OpenCV's fixed-point ones, whose origin is the *centre* of the first pixel."""
    x, y = (np.rint((v - 0.5) * 2**_SHIFT).astype(int).tolist() for v in (x_px, y_px))
    return list(zip(x, y, strict=True))
