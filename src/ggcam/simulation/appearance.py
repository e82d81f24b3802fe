"""Appearance of an X-ray besides the patient, independent of the class: devices, markers, exposure and noise."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from ggcam.simulation.anatomy import Box, Chest
from ggcam.simulation.canvas import Canvas, Layer, Points, blur, smooth_curve, soft_mask

NOISE = (0.008, 0.022)
"""Range of the standard deviation of the detector's noise, for an image from 0 to 1."""
MARKER_HEIGHT = 0.058
"""Height of a marker as a fraction of the image's height."""
MARKERS = ("R", "L", "arrow")
"""The three markers; a shortcut ties each to a class."""
MARKER_PLACES = ((0.12, 0.09), (0.88, 0.09))
"""Possible places of every marker, as fractions of width and height: the place says nothing about the class."""
MARKER_OPACITY = (0.33, 0.6)
"""Range of a marker's opacity, low enough that a network learns the findings as well as the marker."""

# Strokes of the letters and outline of the arrow, in a unit square.
_LETTER_R = (
    [(0.2, 1.0), (0.2, 0.0), (0.6, 0.0), (0.8, 0.12), (0.8, 0.38), (0.6, 0.5), (0.2, 0.5)],
    [(0.5, 0.5), (0.85, 1.0)],
)
_LETTER_L = ([(0.25, 0.0), (0.25, 1.0), (0.85, 1.0)],)
_ARROW = [(0.5, 0.0), (0.95, 0.55), (0.65, 0.55), (0.65, 1.0), (0.35, 1.0), (0.35, 0.55), (0.05, 0.55)]


def add_devices(canvas: Canvas, chest: Chest, rng: Generator) -> bool:
    """Add electrodes, catheters and pacemakers to some images.

    Args:
        canvas: size of the image.
        chest: chest whose attenuation is changed in place.
        rng: random generator of the case.

    Returns:
        Whether any device was added.
    """
    unit = canvas.unit_px
    lungs, heart = chest.boxes["left lung"], chest.boxes["cardiac silhouette"]
    right = chest.boxes["right lung"]
    any_device = False
    if rng.random() < 0.22:
        any_device = True
        for _ in range(rng.integers(2, 4)):
            x, y = rng.uniform(right.x0_px, lungs.x1_px), rng.uniform(right.y0_px, 1.05 * lungs.y1_px)
            away = np.array([rng.choice([-0.1, 1.1]) * canvas.width_px, rng.uniform(0.3, 1.0) * canvas.height_px])
            _wire(canvas, chest, rng, np.array([x, y]), away, 0.0045 * unit, 0.14)
            chest.attenuation[:] += 0.16 * blur(_disc(canvas, x, y, 0.011 * unit), 0.4)
    if rng.random() < 0.13:
        any_device = True
        x, y = chest.boxes["upper mediastinum"].part(0, 0, 0.2, 1.0).centre
        start = np.array([right.x0_px + 0.2 * (right.x1_px - right.x0_px), right.y0_px - 0.02 * unit])
        _wire(canvas, chest, rng, start, np.array([x, y + 0.06 * unit]), 0.006 * unit, 0.10)
    if rng.random() < 0.07:
        any_device = True
        x, y = lungs.x1_px - 0.03 * unit, lungs.y0_px + 0.10 * unit
        box = canvas.squared_distance(x, y, 0.036 * unit, 0.028 * unit, rng.normal(0.5, 0.3))
        chest.attenuation[:] += 0.24 * soft_mask(box, sharpness=8)
        _wire(canvas, chest, rng, np.array([x, y]), np.array(heart.centre), 0.005 * unit, 0.22)
    return any_device


def _wire(
    canvas: Canvas, chest: Chest, rng: Generator, start: np.ndarray, end: np.ndarray, width_px: float, contrast: float
) -> None:
    fraction = np.linspace(0, 1, 5)[:, None]
    points = start + fraction * (end - start)
    points[1:-1] += rng.normal(0, 0.05 * canvas.unit_px, size=(3, 2))
    chest.attenuation[:] += contrast * canvas.stroke(smooth_curve(points, closed=False)[None], width_px)


def _disc(canvas: Canvas, x_px: float, y_px: float, radius_px: float) -> Layer:
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    return canvas.fill(np.stack([x_px + radius_px * np.cos(angle), y_px + radius_px * np.sin(angle)], axis=1))


def expose(canvas: Canvas, attenuation: Layer, rng: Generator) -> Layer:
    """Convert attenuation to brightness, with random exposure, contrast, shading and sharpness, but without noise.

    Args:
        canvas: size of the image.
        attenuation: attenuation of each pixel.
        rng: random generator of the case.

    Returns:
        An image from 0 to about 1.
    """
    gain, offset, power = rng.uniform(0.92, 1.18), rng.normal(0.0, 0.025), rng.uniform(0.85, 1.2)
    bright = np.clip(gain * attenuation + offset, 0.0, 1.0) ** np.float32(power)
    tilt = rng.normal(0, 0.05, size=2)
    x, y = canvas.x_px / canvas.width_px - 0.5, canvas.y_px / canvas.height_px - 0.5
    bright *= 1 + np.float32(tilt[0]) * x + np.float32(tilt[1]) * y
    return blur(bright, canvas.unit_px * rng.uniform(0.0016, 0.0030))


def add_marker(canvas: Canvas, image: Layer, marker: int, rng: Generator) -> Box:
    """Draw one of the markers on an exposed image.

    Args:
        canvas: size of the image.
        image: image to change in place.
        marker: index into :data:`MARKERS`.
        rng: random generator of the case.

    Returns:
        Box around the marker.
    """
    name = MARKERS[marker]
    side = MARKER_HEIGHT * canvas.height_px * rng.uniform(0.9, 1.1)
    fraction = np.array(MARKER_PLACES[rng.integers(len(MARKER_PLACES))]) + rng.normal(0, 0.025, size=2)
    size = np.array([canvas.width_px, canvas.height_px])
    centre = np.clip(fraction * size, 0.6 * side, size - 0.6 * side)
    angle = rng.normal(0, 0.12)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])

    def to_image(points: list[tuple[float, float]]) -> Points:
        return centre + side * (np.array(points) - 0.5) @ rotation

    if name == "arrow":
        layer = canvas.fill(to_image(_ARROW))
    else:
        strokes = _LETTER_R if name == "R" else _LETTER_L
        layer = np.maximum.reduce([canvas.stroke(to_image(line)[None], 0.2 * side) for line in strokes])
    layer = blur(layer, 0.002 * canvas.unit_px + 0.2) * rng.uniform(*MARKER_OPACITY)
    image[:] += layer * (rng.uniform(0.93, 1.0) - image)
    half = 0.67 * side  # strokes reach 0.6 from the centre, a little more when rotated
    return Box(*(centre - half), *(centre + half))


def digitise(canvas: Canvas, image: Layer, rng: Generator) -> np.ndarray:
    """Add the detector's noise, and convert to integers of 12 bits.

    Args:
        canvas: size of the image.
        image: exposed image from 0 to 1.
        rng: random generator of the case.

    Returns:
        Image of type uint16, 0 to 4095.
    """
    noise = rng.standard_normal((canvas.height_px, canvas.width_px), dtype=np.float32)
    grain = 0.6 * noise + 0.9 * cv2.blur(noise, (2, 2))
    noisy = image + np.float32(rng.uniform(*NOISE)) * grain * (1.25 - 0.5 * image)
    return np.round(np.clip(150 + 3600 * noisy, 0, 4095)).astype(np.uint16)
