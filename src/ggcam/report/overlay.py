"""Images with something drawn on them: a CAM, a scanpath, regions; as RGB arrays, and as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from ggcam.data.case import Region
from ggcam.errors import ImageError
from ggcam.gaze.fixations import Fixations

RGB = UInt8[np.ndarray, "H W 3"]
Colour = tuple[int, int, int]

# Okabe and Ito's palette: told apart by the colour-blind too, and bright enough for an X-ray.
ORANGE: Colour = (230, 159, 0)
SKY: Colour = (86, 180, 233)
YELLOW: Colour = (240, 228, 66)

COLOUR_MAP = "inferno"
"""Perceptually even and readable by the colour-blind; its dark end fades into the X-ray."""


def stretch_to_uint8(image: np.ndarray) -> UInt8[np.ndarray, "H W"]:
    """An X-ray as 8-bit grey: 8 bits unchanged, 16 bits stretched between the 0.5th and 99.5th percentile."""
    if image.dtype == np.uint8:
        return image
    low, high = np.percentile(image, [0.5, 99.5])
    scaled = (image.astype(np.float32) - low) * (255 / max(high - low, 1))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def to_rgb(image: np.ndarray) -> RGB:
    """A grey image of 8 or 16 bits as RGB, shape (H, W, 3)."""
    return np.repeat(stretch_to_uint8(image)[:, :, None], 3, axis=2)


def unit_range(
    values: Float[np.ndarray, "h w"], percentiles: tuple[float, float] = (0, 100)
) -> Float[np.ndarray, "h w"]:
    """Values moved to 0..1 between two percentiles of the finite ones; 0 where not finite, 0 throughout if constant."""
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
    """A CAM, or any map on a grid, laid over its image.

    The map is scaled to 0..1 between the percentiles, brought to the image's size (cubic), coloured, and mixed in
    with an alpha that grows with its value: where it is low, the X-ray is as it was. A constant map, and cells that
    are not finite, leave the image untouched.

    Args:
        image: shape (H, W), uint8 or uint16.
        cam: shape (h, w), any range; its grid spans the whole image.
        percentiles: of the map's cells, that become 0 and 1.
        opacity: alpha of the highest value, 0 to 1.

    Returns:
        uint8, shape (H, W, 3).
    """
    from matplotlib import colormaps

    height, width = image.shape
    scaled = unit_range(cam.astype(np.float32), percentiles)
    value = np.clip(cv2.resize(scaled, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)
    colours = (255 * colormaps[COLOUR_MAP](np.arange(256))[:, :3]).astype(np.float32)
    coloured = colours[np.rint(255 * value).astype(np.intp)]
    alpha = (opacity * value)[:, :, None]
    return np.rint((1 - alpha) * to_rgb(image) + alpha * coloured).astype(np.uint8)


def draw_scanpath(canvas: RGB, fixations: Fixations, *, longest_px: float | None = None) -> RGB:
    """A copy of the image with fixations as circles, joined in order of time.

    A circle's area grows with its fixation's duration. The path runs from blue (early) through to yellow (late);
    circles lie over lines. Fixations off the image are drawn as far as they reach in.

    Args:
        canvas: shape (H, W, 3).
        fixations: in pixels of this image, in order of time.
        longest_px: radius of the longest fixation's circle; by default a thirtieth of the image's shorter side.
    """
    from matplotlib import colormaps

    drawn = canvas.copy()
    if not len(fixations):
        return drawn
    side = min(canvas.shape[:2])
    longest = side / 30 if longest_px is None else longest_px
    radius = longest * np.sqrt(fixations.duration_s / max(fixations.duration_s.max(), 1e-9))
    age = np.linspace(0, 1, len(fixations))
    colours = [tuple(int(v) for v in rgb) for rgb in 255 * colormaps["plasma"](age)[:, :3]]
    thick = max(1, round(side / 400))
    points = _fine(fixations.x_px, fixations.y_px)
    for colour, start, end in zip(colours[1:], points[:-1], points[1:], strict=True):
        cv2.line(drawn, start, end, colour, thick, cv2.LINE_AA, shift=_SHIFT)
    for colour, centre, r in zip(colours, points, radius, strict=True):
        size = max(1, round(float(r) * 2**_SHIFT))
        cv2.circle(drawn, centre, size, colour, -1, cv2.LINE_AA, shift=_SHIFT)
        cv2.circle(drawn, centre, size, (20, 20, 20), 1, cv2.LINE_AA, shift=_SHIFT)
    return drawn


def draw_regions(canvas: RGB, regions: Sequence[Region], colour: Colour = SKY) -> RGB:
    """A copy of the image with the outlines of boxes and ellipses, given in pixels of this image."""
    drawn = canvas.copy()
    thick = max(1, round(min(canvas.shape[:2]) / 200))
    for region in regions:
        corners = _fine(np.array([region.x0_px, region.x1_px]), np.array([region.y0_px, region.y1_px]))
        if region.kind == "box":
            cv2.rectangle(drawn, corners[0], corners[1], colour, thick, cv2.LINE_AA, shift=_SHIFT)
        else:
            (x0, y0), (x1, y1) = corners
            centre, axes = ((x0 + x1) // 2, (y0 + y1) // 2), ((x1 - x0) // 2, (y1 - y0) // 2)
            cv2.ellipse(drawn, centre, axes, 0, 0, 360, colour, thick, cv2.LINE_AA, shift=_SHIFT)
    return drawn


def enlarged(image: np.ndarray, least_side_px: int) -> np.ndarray:
    """The image, a whole number of times as large, so that its shorter side has at least so many pixels."""
    times = max(1, -(-least_side_px // min(image.shape[:2])))
    return image if times == 1 else cv2.resize(image, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC)


def png_bytes(image: np.ndarray) -> bytes:
    """An RGB or grey image as a PNG file's content."""
    done, data = cv2.imencode(".png", image[:, :, ::-1] if image.ndim == 3 else image)
    if not done:
        raise ImageError(f"an image of shape {image.shape} and type {image.dtype} cannot be written as PNG")
    return data.tobytes()


def save_png(path: Path, image: np.ndarray) -> None:
    """Write an RGB or grey image; the folder must exist."""
    path.write_bytes(png_bytes(image))


_SHIFT = 4
"""OpenCV draws at sixteenths of a pixel."""


def _fine(x_px: np.ndarray, y_px: np.ndarray) -> list[tuple[int, int]]:
    """Continuous positions as OpenCV's fixed-point ones, whose origin is the *centre* of the first pixel."""
    x, y = (np.rint((v - 0.5) * 2**_SHIFT).astype(int).tolist() for v in (x_px, y_px))
    return list(zip(x, y, strict=True))
