"""The picture of a Secondary Capture: the image and its overlay side by side, with the probabilities in words."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image, ImageDraw, ImageFont

from ggcam.dicom_output.options import RESEARCH_USE
from ggcam.dicom_output.subject import Subject
from ggcam.inference.image_input import load_shown
from ggcam.report.overlay import colour_table, to_rgb
from ggcam.utils.printable import printable

PANEL_SIDE_PX = 768
"""Length of the longer side of each of the two panels."""

MAX_CLASSES = 8
"""Number of classes that are listed, the most probable first."""

Colour = tuple[int, int, int]
_BACKGROUND: Colour = (16, 16, 16)
_TEXT: Colour = (235, 235, 235)
_FAINT: Colour = (165, 165, 165)
_WARNING: Colour = (255, 190, 60)
_BAR: Colour = (86, 180, 233)
_MARGIN, _LINE, _FONT_PX = 24, 30, 20
_SCALE_PX = 14
"""Width of the colour scale."""

_MIN_WIDTH_PX = 1000
"""Width that the probabilities and their words need, beside panels of narrow images."""


def draw_picture(subject: Subject) -> UInt8[np.ndarray, "y x 3"]:
    """Draw the image and the overlay of the predicted class side by side, as a viewer shows them, with square pixels.

    Above them it says that the picture is for research use. Below them are the probabilities, with the thresholds where
    the run has any, by what the image is unlike the training images, and the network. No name of a patient or file is
    drawn.

    Args:
        subject: the image and its prediction.

    Returns:
        RGB, uint8.
    """
    result = subject.result
    shown = load_shown(result.image, result.framing) if result.shown is None else result.shown
    size = panel_size(subject)
    image = _resize(to_rgb(shown), size)
    overlay = _resize(result.overlay(), size)
    _draw_peak(overlay, subject)
    left, right = _MARGIN, 2 * _MARGIN + size[0]
    top = _MARGIN + 3 * _LINE
    lines = _lines(subject)
    width = max(_MIN_WIDTH_PX, right + size[0] + 2 * _MARGIN + _SCALE_PX + _FONT_PX * 2)
    canvas = np.full((top + size[1] + _MARGIN + _LINE * (len(lines) + 1), width, 3), _BACKGROUND, np.uint8)
    for panel, x in ((image, left), (overlay, right)):
        canvas[top : top + size[1], x : x + size[0]] = panel
    _draw_scale(canvas, right + size[0] + _MARGIN // 2, top, size[1])
    picture = Image.fromarray(canvas)
    draw = ImageDraw.Draw(picture)
    _write(draw, (left, _MARGIN), RESEARCH_USE, width - 2 * _MARGIN, _WARNING, 26)
    _write(draw, (left, top - _LINE), "Image", size[0], _TEXT)
    _write(draw, (right, top - _LINE), f"Class activation: {result.predicted} (ring: maximum)", size[0], _TEXT)
    scale_x = right + size[0] + _MARGIN // 2 + _SCALE_PX + 6
    draw.text((scale_x, top), "high", _FAINT, _font(14))
    draw.text((scale_x, top + size[1]), "low", _FAINT, _font(14), anchor="ls")
    y = top + size[1] + _MARGIN
    for line in lines:
        line.draw(draw, left, y, width - 2 * _MARGIN)
        y += _LINE
    return np.asarray(picture)


def panel_size(subject: Subject) -> tuple[int, int]:
    """Return width and height of a panel: the shape of the image on a viewer, whose pixels need not be square.

    Args:
        subject: the image and its prediction.
    """
    height, width = subject.result.image_size
    down, across = pixel_shape(subject)
    height_mm, width_mm = height * down, width * across
    scale = PANEL_SIDE_PX / max(height_mm, width_mm)
    return max(1, round(width_mm * scale)), max(1, round(height_mm * scale))


def pixel_shape(subject: Subject) -> tuple[float, float]:
    """Return the relative height and width of a pixel of the source image; equal if nothing is known.

    Args:
        subject: the image and its prediction.
    """
    for name in ("PixelSpacing", "ImagerPixelSpacing", "PixelAspectRatio"):
        values = subject.reference.get(name)
        if values and len(values) == 2 and all(float(each) > 0 for each in values):
            return float(values[0]), float(values[1])
    return 1.0, 1.0


class _Line:
    """A line of text."""

    def __init__(self, text: str, colour: Colour = _TEXT):
        self._text, self._colour = text, colour

    def draw(self, draw: ImageDraw.ImageDraw, x: int, y: int, width: int) -> None:
        _write(draw, (x, y), self._text, width, self._colour)


class _Bar(_Line):
    """The probability of a class as a bar, with its threshold as a tick."""

    _NAME, _BAR_PX = 260, 300

    def __init__(self, name: str, probability: float, threshold: float | None):
        super().__init__(name)
        self._probability, self._threshold = probability, threshold

    def draw(self, draw: ImageDraw.ImageDraw, x: int, y: int, width: int) -> None:
        super().draw(draw, x, y, min(self._NAME - 10, width))
        start, end = x + self._NAME, x + self._NAME + self._BAR_PX
        draw.rectangle((start, y + 4, end, y + 20), outline=_FAINT)
        draw.rectangle((start, y + 4, start + round(self._BAR_PX * self._probability), y + 20), fill=_BAR)
        words = f"{self._probability:.3f}"
        if self._threshold is not None:
            at = start + round(self._BAR_PX * self._threshold)
            draw.line((at, y, at, y + 24), fill=_WARNING, width=2)
            above = self._probability >= self._threshold
            words += f"  {'at or above' if above else 'below'} the threshold {self._threshold:.3f}"
        _write(draw, (end + 14, y), words, width - (end + 14 - x), _TEXT)


def _lines(subject: Subject) -> list[_Line]:
    probabilities = subject.result.probabilities
    ranked = sorted(probabilities, key=lambda name: -probabilities[name])
    lines: list[_Line] = [_Line("Probability", _FAINT)]
    lines += [_Bar(name, probabilities[name], subject.thresholds.get(name)) for name in ranked[:MAX_CLASSES]]
    if len(ranked) > MAX_CLASSES:
        lines.append(_Line(f"and {len(ranked) - MAX_CLASSES:,} less probable classes", _FAINT))
    if subject.result.unusual:
        lines.append(_Line(f"Unlike the training images: {', '.join(subject.result.unusual)}", _WARNING))
    model = subject.model
    lines.append(_Line(f"ggcam {model.version}, {model.name}, weights {model.weights_sha256[:12]}", _FAINT))
    return lines


def _resize(image: Shaped[np.ndarray, "h w 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "y x 3"]:
    shrinks = size[0] < image.shape[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def _draw_peak(overlay: UInt8[np.ndarray, "y x 3"], subject: Subject) -> None:
    """Mark the largest value of the CAM with a ring."""
    peak = subject.peak(subject.result.predicted)
    if peak is None:
        return
    row, column, _ = peak
    height, width = subject.result.image_size
    centre = round((column + 0.5) * overlay.shape[1] / width), round((row + 0.5) * overlay.shape[0] / height)
    for colour, thickness in (((0, 0, 0), 5), (_TEXT, 2)):
        cv2.circle(overlay, centre, 16, colour, thickness, cv2.LINE_AA)


def _draw_scale(canvas: UInt8[np.ndarray, "y x 3"], x: int, top: int, height: int) -> None:
    colours = colour_table()[::-1]
    rows = np.arange(height) * len(colours) // height
    canvas[top : top + height, x : x + _SCALE_PX] = colours[rows][:, None]


def _write(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, width: int, colour: Colour, size: int = _FONT_PX
) -> None:
    """Write a line of text, shortened and then in smaller letters where it does not fit."""
    text = printable(text).replace("\n", " ")
    while size > 12 and _font(size).getlength(text) > width:
        size -= 1
    while len(text) > 4 and _font(size).getlength(text) > width:
        text = text[:-4].rstrip() + "..."
    draw.text(at, text, colour, _font(size))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)
