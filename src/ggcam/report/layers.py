"""Layers of a case in the gallery: image, maps, scanpaths and regions, which the browser overlays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO

import cv2
import numpy as np
from jaxtyping import Float
from PIL import Image

from ggcam.data.case import Frame, Region
from ggcam.gaze.fixations import Fixations
from ggcam.report.overlay import COLOUR_MAP, png_bytes, stretch_to_uint8, unit_range

GAZE_COLOUR_MAP = "viridis"
"""Differs from the CAM's, so that the two are not confused; perceptually uniform and safe for colour-blind readers."""

LOSSLESS_PX = 256
"""Images up to this longer side are stored as PNG: JPEG would blur them."""

MAX_SIDE_PX = 768
"""Maximum longer side of an image on the page."""

MAX_BYTES = 110_000
"""Maximum size of an image on the page; a page of 40 cases with 14 maps each stays below 10 MB."""

QUALITIES = (90, 82, 72, 60, 45, 30)
"""JPEG qualities to try, until the file is small enough."""

MAP_COLOURS = 64
"""Number of colours of a map; more would not be visible."""

MAX_CELLS = 64
"""Maximum number of cells along the longer side of a map."""

LINES_PER_IMAGE = 28
"""Height of an image, in lines of text."""

LETTER_WIDTH = 0.55
"""Approximate width of a letter, as a fraction of the line height."""

LEGEND_COLOURS = 9
"""Number of colours in a legend."""


@dataclass(frozen=True)
class Picture:
    """An encoded image.

    Attributes:
        content: content of the file.
        kind: file format, such as "png".
    """

    content: bytes
    kind: str


@dataclass(frozen=True)
class FixationMark:
    """A fixation as a circle in the frame; its area is proportional to the duration."""

    x_px: float
    y_px: float
    radius_px: float
    colour: str
    text: str


@dataclass(frozen=True)
class Scanpath:
    """Fixations of one reading, joined in order of time by the SVG path `line`."""

    line: str
    marks: tuple[FixationMark, ...]


@dataclass(frozen=True)
class RegionMark:
    """The outline of a region in the frame, the position of its name, and whether there is room for the name."""

    name: str
    kind: str
    x_px: float
    y_px: float
    width_px: float
    height_px: float
    text_x_px: float
    text_y_px: float
    anchor: str
    text_shown: bool = True


def image_layer(image: np.ndarray) -> Picture:
    """Encode an image for the page: small ones as PNG, large ones as JPEG within `MAX_SIDE_PX` and `MAX_BYTES`.

    Args:
        image: grey, shape (H, W), or RGB, shape (H, W, 3); uint8 or uint16.

    Returns:
        The encoded image.
    """
    shown = stretch_to_uint8(image)
    longer = max(shown.shape[:2])
    if longer <= LOSSLESS_PX:
        return Picture(png_bytes(shown), "png")
    if longer > MAX_SIDE_PX:
        size = (round(shown.shape[1] * MAX_SIDE_PX / longer), round(shown.shape[0] * MAX_SIDE_PX / longer))
        shown = cv2.resize(shown, size, interpolation=cv2.INTER_AREA)
    content = b""
    for quality in QUALITIES:
        buffer = BytesIO()
        Image.fromarray(shown).save(buffer, "JPEG", quality=quality, optimize=True)
        content = buffer.getvalue()
        if len(content) <= MAX_BYTES:
            break
    return Picture(content, "jpeg")


def map_layer(values: Float[np.ndarray, "h w"], colour_map: str = COLOUR_MAP) -> Picture:
    """Encode a map with one pixel per cell, from its lowest value (transparent) to its highest (opaque).

    Args:
        values: shape (h, w), any range; maps finer than `MAX_CELLS` are reduced.
        colour_map: name of a colour map of matplotlib.

    Returns:
        The encoded map.
    """
    longer = max(values.shape)
    if longer > MAX_CELLS:
        rows, columns = (max(1, round(cells * MAX_CELLS / longer)) for cells in values.shape)
        values = cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA)
    steps = np.rint(unit_range(values.astype(np.float64)) * (MAP_COLOURS - 1)).astype(np.uint8)
    image = Image.fromarray(steps, "P")
    image.putpalette(_colours(colour_map, MAP_COLOURS).tobytes())
    buffer = BytesIO()
    alpha = np.rint(np.linspace(0, 255, MAP_COLOURS)).astype(np.uint8).tobytes()
    image.save(buffer, "PNG", optimize=True, transparency=alpha)
    return Picture(buffer.getvalue(), "png")


def legend(colour_map: str) -> str:
    """Return the colours of a map from its lowest to its highest value, for a CSS gradient.

    Args:
        colour_map: name of a colour map of matplotlib.

    Returns:
        Comma-separated colours.
    """
    return ", ".join(_hex(colour) for colour in _colours(colour_map, LEGEND_COLOURS))


def scanpath(reading: Fixations, frame: Frame) -> Scanpath:
    """Build the scanpath of a reading: circles from dark (early) to light (late), joined by a line.

    Args:
        reading: fixations in pixels of the frame, in order of time.
        frame: size of the image.

    Returns:
        The scanpath.
    """
    max_radius = min(frame.height_px, frame.width_px) / 36
    relative = np.sqrt(reading.duration_s / max(float(reading.duration_s.max(initial=0)), 1e-9))
    radius = np.maximum(max_radius * relative, max_radius / 6)
    colours = _colours("magma", max(len(reading), 1), low=0.35)
    points = [f"{x:.1f} {y:.1f}" for x, y in zip(reading.x_px, reading.y_px, strict=True)]
    marks = tuple(
        FixationMark(
            round(float(reading.x_px[i]), 1),
            round(float(reading.y_px[i]), 1),
            round(float(radius[i]), 1),
            _hex(colours[i]),
            f"{i + 1}: {reading.duration_s[i]:.2f} s",
        )
        for i in range(len(reading))
    )
    return Scanpath("M" + "L".join(points) if points else "", marks)


def line_height_px(frame: Frame) -> float:
    """Return the height of a line of text.

    Args:
        frame: size of the image.

    Returns:
        Height in pixels of the frame.
    """
    return max(frame.height_px, frame.width_px) / LINES_PER_IMAGE


def region_marks(regions: Sequence[Region], frame: Frame) -> tuple[RegionMark, ...]:
    """Build the outlines of regions; a name that would overlap an earlier one is not written.

    Args:
        regions: regions in pixels of the frame.
        frame: size of the image.

    Returns:
        One mark per region.
    """
    line = line_height_px(frame)
    marks: list[RegionMark] = []
    taken: list[tuple[float, float, float]] = []
    for region in regions:
        mark = _region_mark(region, frame, line)
        width = len(region.name) * line * LETTER_WIDTH
        left = mark.text_x_px - (width if mark.anchor == "end" else 0)
        free = all(left > end or left + width < start or abs(mark.text_y_px - y) > line for start, end, y in taken)
        if free:
            taken.append((left, left + width, mark.text_y_px))
        marks.append(replace(mark, text_shown=free))
    return tuple(marks)


def _region_mark(region: Region, frame: Frame, line: float) -> RegionMark:
    left = region.x0_px + region.x1_px < frame.width_px
    above = region.y0_px > 1.3 * line
    return RegionMark(
        region.name,
        region.kind,
        *(round(value, 1) for value in (region.x0_px, region.y0_px)),
        *(round(value, 1) for value in (region.x1_px - region.x0_px, region.y1_px - region.y0_px)),
        text_x_px=round(region.x0_px if left else region.x1_px, 1),
        text_y_px=round(region.y0_px - line / 3 if above else min(region.y1_px + line, frame.height_px - line / 3), 1),
        anchor="start" if left else "end",
    )


@cache
def _colours(colour_map: str, count: int, low: float = 0.0) -> np.ndarray:
    """Return colours along a colour map, uint8, shape (count, 3)."""
    from matplotlib import colormaps

    return np.rint(255 * colormaps[colour_map](np.linspace(low, 1, count))[:, :3]).astype(np.uint8)


def _hex(colour: np.ndarray) -> str:
    return "#" + "".join(f"{int(part):02x}" for part in colour)
