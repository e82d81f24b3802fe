"""Anatomy of a chest: masks, the boxes that follow from them, and vessels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool
from numpy.random import Generator

from ggcam.simulation.canvas import Canvas, Layer, blur

Mask = Bool[np.ndarray, "height width"]
Side = Literal["left", "right"]
SIDES: tuple[Side, ...] = ("left", "right")
"""The patient's sides: the left lung is on the right side of the image."""


@dataclass(frozen=True)
class Box:
    """A rectangle in continuous pixel coordinates."""

    x0_px: float
    y0_px: float
    x1_px: float
    y1_px: float

    @property
    def centre(self) -> tuple[float, float]:
        """Its centre, (x_px, y_px)."""
        return (self.x0_px + self.x1_px) / 2, (self.y0_px + self.y1_px) / 2

    @property
    def half_size(self) -> tuple[float, float]:
        """Half of its width and half of its height, in pixels."""
        return (self.x1_px - self.x0_px) / 2, (self.y1_px - self.y0_px) / 2

    def part(self, x0: float, y0: float, x1: float, y1: float) -> Box:
        """Return a part of the box.

        Args:
            x0: left side, as a fraction of the width.
            y0: top side, as a fraction of the height.
            x1: right side, as a fraction of the width.
            y1: bottom side, as a fraction of the height.

        Returns:
            The box between these fractions.
        """
        width, height = self.x1_px - self.x0_px, self.y1_px - self.y0_px
        return Box(self.x0_px + x0 * width, self.y0_px + y0 * height, self.x0_px + x1 * width, self.y0_px + y1 * height)


def bounding_box(mask: Mask) -> Box:
    """Return the smallest box around a mask.

    Args:
        mask: mask with at least one pixel.

    Returns:
        Its bounding box.
    """
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(float(cols[0]), float(rows[0]), float(cols[-1] + 1), float(rows[-1] + 1))


@dataclass(frozen=True)
class Chest:
    """A drawn or photographed chest with its anatomy.

    Attributes:
        attenuation: attenuation, about 0 (air) to 1 (bone and soft tissue); findings and devices are added in place.
        lungs: mask of the visible part of each lung.
        mediastinum: mask of heart and great vessels.
        aortic_knob: mask of the aortic knob.
        boxes: boxes of EGD-CXR's 17 regions, by name.
    """

    attenuation: Layer
    lungs: Mapping[Side, Mask]
    mediastinum: Mask
    aortic_knob: Mask
    boxes: Mapping[str, Box]

    @classmethod
    def build(cls, attenuation: Layer, lungs: Mapping[Side, Mask], mediastinum: Mask, aortic_knob: Mask) -> Chest:
        """Make a chest with the boxes that follow from its masks.

        Args:
            attenuation: attenuation of each pixel.
            lungs: mask of each lung.
            mediastinum: mask of heart and great vessels.
            aortic_knob: mask of the aortic knob.

        Returns:
            The chest.
        """
        return cls(attenuation, lungs, mediastinum, aortic_knob, anatomical_boxes(lungs, mediastinum))

    @property
    def hila(self) -> Mapping[Side, tuple[float, float]]:
        """Start of each lung's vessels, (x_px, y_px)."""
        return {side: self.boxes[f"{side} hilar structures"].centre for side in SIDES}


def anatomical_boxes(lungs: Mapping[Side, Mask], mediastinum: Mask) -> dict[str, Box]:
    """Derive the boxes of EGD-CXR's 17 regions from masks.

    Args:
        lungs: mask of each lung.
        mediastinum: mask of heart and great vessels.

    Returns:
        Boxes by EGD-CXR's names.
    """
    boxes: dict[str, Box] = {}
    middle = bounding_box(mediastinum)
    for side in SIDES:
        lung = bounding_box(lungs[side])

        def zone(x0: float, y0: float, x1: float, y1: float, lung: Box = lung, side: Side = side) -> Box:
            # Fractions of the width are counted from the spine outwards, on both sides.
            return lung.part(x0, y0, x1, y1) if side == "left" else lung.part(1 - x1, y0, 1 - x0, y1)

        boxes[f"{side} lung"] = lung
        boxes[f"{side} upper lung zone"] = zone(0.0, 0.0, 1.0, 0.36)
        boxes[f"{side} mid lung zone"] = zone(0.0, 0.36, 1.0, 0.66)
        boxes[f"{side} lower lung zone"] = zone(0.0, 0.66, 1.0, 1.0)
        boxes[f"{side} hilar structures"] = zone(0.0, 0.36, 0.36, 0.6)
        boxes[f"{side} costophrenic angle"] = zone(0.72, 0.86, 1.0, 1.0)
        boxes[f"{side} clavicle"] = zone(0.0, 0.0, 0.9, 0.15)
    boxes["upper mediastinum"] = middle.part(0.2, 0.0, 0.7, 0.42)
    boxes["trachea"] = middle.part(0.3, 0.0, 0.5, 0.4)
    top = round(middle.y0_px + 0.5 * (middle.y1_px - middle.y0_px))
    heart = bounding_box(mediastinum[top:])
    boxes["cardiac silhouette"] = Box(heart.x0_px, heart.y0_px + top, heart.x1_px, heart.y1_px + top)
    return boxes


def draw_vessels(
    canvas: Canvas, rng: Generator, start: tuple[float, float], within: Mask, count: int, width_px: float
) -> Layer:
    """Draw vessels that fan out from a hilum into a lung, each with two branches.

    Args:
        canvas: size of the image.
        rng: random generator.
        start: position of the hilum, (x_px, y_px).
        within: mask in which the vessels end.
        count: number of vessels.
        width_px: width of a vessel near the hilum.

    Returns:
        A slightly blurred layer from 0 to about 1.
    """
    rows, cols = np.nonzero(within)
    picks = rng.integers(len(rows), size=(3, count))
    ends = np.stack([cols[picks], rows[picks]], axis=-1) + 0.5
    bends, branch_points = rng.normal(0, 0.12, size=(3, count)), rng.integers(2, 8, size=(2, count))
    mains = _bow(np.broadcast_to(np.array(start), ends[0].shape), ends[0], bends[0])
    twigs = [mains[:, 6:]]
    for end, bend, branch_point in zip(ends[1:], bends[1:], branch_points, strict=True):
        roots = mains[np.arange(count), branch_point]
        twigs.append(_bow(roots, roots + 0.45 * (end - roots), bend))
    layer = canvas.stroke(mains[:, :4], width_px)
    layer = np.maximum(layer, 0.8 * canvas.stroke(mains[:, 3:7], 0.6 * width_px))
    for lines in twigs:
        layer = np.maximum(layer, 0.6 * canvas.stroke(lines, 0.4 * width_px))
    return blur(layer, 0.25 * width_px + 0.2)


_STEPS = np.linspace(0, 1, 10)[:, None]


def _bow(start: np.ndarray, end: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """Draw bows between points of shape (n, 2); the result has shape (n, 10, 2)."""
    chord = (end - start)[:, None]
    across = np.stack([-chord[..., 1], chord[..., 0]], axis=-1)
    return start[:, None] + _STEPS * chord + bend[:, None, None] * 4 * _STEPS * (1 - _STEPS) * across
