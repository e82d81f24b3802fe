"""The layers of a case's picture, each sent once and laid over each other by the browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO

import cv2
import numpy as np
from jaxtyping import Float
from PIL import Image

from ggcam.data.case import Frame, Region
from ggcam.gaze.fixations import Fixations
from ggcam.report.overlay import COLOUR_MAP, png_bytes, stretch_to_uint8, unit_range

GAZE_COLOUR_MAP = "viridis"
"""Another one than the CAM's, so that the two are never mistaken for each other; even and safe for the colour-blind."""

LOSSLESS_PX = 256
"""Images of this longer side or less are sent as PNG: a JPEG would blur what little there is."""

LONGEST_PX = 768
"""Longer side of an X-ray on the page, at most."""

MAX_BYTES = 110_000
"""Of one X-ray on the page. Forty of them, with fourteen maps each, make a page of less than 10 MB."""

QUALITIES = (90, 82, 72, 60, 45, 30)
"""Of the JPEG; the first one that is small enough."""

LEVELS = 64
"""Steps of a map's colours: few make small files, and more are not seen."""

MAX_CELLS = 64
"""Of a map's longer side."""

LINES = 28
"""Lines of text that an image is high."""

LETTER = 0.55
"""Width of a letter, as a share of a line, at a guess."""

STOPS = 9
"""Colours named of a legend."""


@dataclass(frozen=True)
class Picture:
    """An image file's content and kind, such as "png"."""

    content: bytes
    kind: str


@dataclass(frozen=True)
class FixationMark:
    """A fixation as a circle in the frame; its area grows with its duration."""

    x_px: float
    y_px: float
    radius_px: float
    colour: str
    text: str


@dataclass(frozen=True)
class Scanpath:
    """One reading's fixations, joined in order of time by the SVG path `line`."""

    line: str
    marks: tuple[FixationMark, ...]


@dataclass(frozen=True)
class RegionMark:
    """The outline of a region in the frame, where its name begins or ends, and whether there is room for it."""

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


def xray(image: np.ndarray) -> Picture:
    """An X-ray for the page: small ones without loss, large ones brought to `LONGEST_PX` and `MAX_BYTES`."""
    grey = stretch_to_uint8(image)
    longer = max(grey.shape)
    if longer <= LOSSLESS_PX:
        return Picture(png_bytes(grey), "png")
    if longer > LONGEST_PX:
        size = (round(grey.shape[1] * LONGEST_PX / longer), round(grey.shape[0] * LONGEST_PX / longer))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    content = b""
    for quality in QUALITIES:
        buffer = BytesIO()
        Image.fromarray(grey).save(buffer, "JPEG", quality=quality, optimize=True)
        content = buffer.getvalue()
        if len(content) <= MAX_BYTES:
            break
    return Picture(content, "jpeg")


def map_layer(values: Float[np.ndarray, "h w"], colour_map: str = COLOUR_MAP) -> Picture:
    """A map on its own grid, a pixel a cell, from its lowest value (transparent) to its highest (opaque)."""
    longer = max(values.shape)
    if longer > MAX_CELLS:
        rows, columns = (max(1, round(cells * MAX_CELLS / longer)) for cells in values.shape)
        values = cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA)
    steps = np.rint(unit_range(values.astype(np.float64)) * (LEVELS - 1)).astype(np.uint8)
    image = Image.fromarray(steps, "P")
    image.putpalette(_colours(colour_map, LEVELS).tobytes())
    buffer = BytesIO()
    alpha = np.rint(np.linspace(0, 255, LEVELS)).astype(np.uint8).tobytes()
    image.save(buffer, "PNG", optimize=True, transparency=alpha)
    return Picture(buffer.getvalue(), "png")


def legend(colour_map: str) -> str:
    """Colours of a map from its lowest to its highest value, as CSS."""
    return ", ".join(_hex(colour) for colour in _colours(colour_map, STOPS))


def scanpath(reading: Fixations, frame: Frame) -> Scanpath:
    """A reading as circles from dark (early) to light (late), joined by a line."""
    longest = min(frame.height_px, frame.width_px) / 36
    share = np.sqrt(reading.duration_s / max(float(reading.duration_s.max(initial=0)), 1e-9))
    radius = np.maximum(longest * share, longest / 6)
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


def line_px(frame: Frame) -> float:
    """Height of a line of text, in pixels of the frame."""
    return max(frame.height_px, frame.width_px) / LINES


def region_marks(regions: Sequence[Region], frame: Frame) -> tuple[RegionMark, ...]:
    """Outlines of regions; a name that would lie on another one is not written."""
    line = line_px(frame)
    marks: list[RegionMark] = []
    taken: list[tuple[float, float, float]] = []
    for region in regions:
        mark = _region_mark(region, frame, line)
        width = len(region.name) * line * LETTER
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


def _colours(colour_map: str, count: int, low: float = 0.0) -> np.ndarray:
    """Colours along a map, uint8, shape (count, 3)."""
    from matplotlib import colormaps

    return np.rint(255 * colormaps[colour_map](np.linspace(low, 1, count))[:, :3]).astype(np.uint8)


def _hex(colour: np.ndarray) -> str:
    return "#" + "".join(f"{int(part):02x}" for part in colour)
