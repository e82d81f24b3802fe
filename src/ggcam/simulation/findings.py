"""Findings with known place and extent, added to a chest. The constants at the top set the difficulty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.random import Generator

from ggcam.data.case import Region
from ggcam.simulation.anatomy import SIDES, Box, Chest, Mask, bounding_box, draw_vessels
from ggcam.simulation.canvas import Canvas, Layer, blur

CLASS_NAMES = ("Normal", "CHF", "pneumonia")
"""Class names in the order of EGD-CXR's columns; a label is an index into them."""
NORMAL, CHF, PNEUMONIA = range(3)

# Difficulty. Contrasts are in units of attenuation: air 0, soft tissue about 0.6; a rib on a lung adds 0.05.
CONSOLIDATION_CONTRAST = (0.055, 0.115)
"""Range of the peak contrast of a consolidation."""
CONSOLIDATION_RADIUS = (0.04, 0.09)
"""Range of a consolidation's semi-axes, as a fraction of the image's height."""
CONSOLIDATION_COUNTS = (0.62, 0.28, 0.10)
"""Probabilities of one, two and three consolidations."""
CTR_NORMAL = (0.46, 0.04)
"""Mean and standard deviation of the cardiothoracic ratio without heart failure."""
CTR_CHF = (0.53, 0.045)
"""Mean and standard deviation of the cardiothoracic ratio in CHF; the two distributions overlap by a third."""
HAZE_CONTRAST = (0.02, 0.06)
"""Range of the peak contrast of the basal haze in CHF."""
EFFUSION_PROB = 0.35
"""Probability of an effusion, on one side or both, in CHF."""
EFFUSION_CONTRAST = (0.08, 0.20)
"""Range of the contrast of an effusion."""
REDISTRIBUTION_CONTRAST = (0.02, 0.07)
"""Range of the contrast of the added upper-zone vessels in CHF."""
DISTRACTOR_CONTRAST = 0.045
"""Peak contrast of shadows in images of every class: superimposed structures, nipples, crowded vessels at the bases."""

MIN_ENLARGED_RATIO = 0.50
"""Cardiothoracic ratio above which a heart counts as enlarged."""

FindingName = Literal["consolidation", "enlarged heart", "basal haze", "effusion", "vascular redistribution"]


@dataclass(frozen=True)
class SimulatedFinding:
    """A finding in a simulated image.

    Attributes:
        region: name and place in pixels of the image.
        dwell_weight: relative amount of extra dwell that the finding attracts.
    """

    region: Region
    dwell_weight: float


def draw_cardiothoracic_ratio(label: int, rng: Generator) -> float:
    """Draw the cardiothoracic ratio, the width of the heart divided by the inner width of the thorax.

    Args:
        label: class index.
        rng: random generator of the case.

    Returns:
        The ratio, 0.34 to 0.68.
    """
    return float(np.clip(rng.normal(*(CTR_CHF if label == CHF else CTR_NORMAL)), 0.34, 0.68))


def add_distractors(canvas: Canvas, chest: Chest, rng: Generator) -> None:
    """Add shadows that resemble findings, independent of the class.

    Args:
        canvas: size of the image.
        chest: chest whose attenuation is changed in place.
        rng: random generator of the case.
    """
    for side in SIDES:
        soft = blur(chest.lungs[side].astype(np.float32), 0.008 * canvas.unit_px)
        for _ in range(rng.poisson(1.2)):
            radii = canvas.unit_px * rng.uniform(0.02, 0.07, size=2)
            x, y = _random_point(chest.lungs[side], 0.3 * radii.max(), rng)
            spot = canvas.gaussian_spot(x, y, 0.6 * radii[0], 0.6 * radii[1], rng.uniform(0, np.pi))
            chest.attenuation[:] += DISTRACTOR_CONTRAST * rng.uniform(0.3, 1.0) * spot * soft
        crowding = DISTRACTOR_CONTRAST * rng.uniform(0, 0.8)
        chest.attenuation[:] += crowding * _basal_ramp(canvas, chest.boxes[f"{side} lung"]) * soft


def add_findings(
    canvas: Canvas, chest: Chest, label: int, ratio: float, rng: Generator
) -> tuple[SimulatedFinding, ...]:
    """Add the findings of a class to a chest.

    Args:
        canvas: size of the image.
        chest: chest whose attenuation is changed in place; its heart already has the given size.
        label: class index.
        ratio: cardiothoracic ratio.
        rng: random generator of the case.

    Returns:
        The findings with their places; empty for a normal chest.
    """
    if label == PNEUMONIA:
        return _add_consolidations(canvas, chest, rng)
    if label == CHF:
        return _add_heart_failure(canvas, chest, ratio, rng)
    return ()


def _add_consolidations(canvas: Canvas, chest: Chest, rng: Generator) -> tuple[SimulatedFinding, ...]:
    found = []
    # More often in the right lung; of several, most are in the same lung.
    first_side, same_side = int(rng.random() < 0.55), rng.random(2) < 0.75
    for same in [True, *same_side][: 1 + int(rng.choice(3, p=CONSOLIDATION_COUNTS))]:
        lung = chest.lungs[SIDES[first_side if same else 1 - first_side]]
        rx, ry = canvas.height_px * rng.uniform(*CONSOLIDATION_RADIUS, size=2)
        x, y = _random_point(lung, 0.8 * max(rx, ry), rng)
        d2 = canvas.squared_distance(x, y, rx, ry)
        # Uneven edge and texture. The ellipse of the region is where the Gaussian has fallen to 0.14.
        uneven = (
            1 + 0.35 * canvas.smooth_noise(rng, 0.5 * min(rx, ry)) + 0.2 * canvas.smooth_noise(rng, 0.2 * min(rx, ry))
        )
        soft = blur(lung.astype(np.float32), 0.006 * canvas.unit_px)
        shape = np.exp(-2.0 * d2 * np.clip(uneven, 0.4, 1.6)) * np.clip(uneven, 0.5, 1.5)
        chest.attenuation[:] += rng.uniform(*CONSOLIDATION_CONTRAST) * shape * soft
        region = Region("consolidation", "ellipse", float(x - rx), float(y - ry), float(x + rx), float(y + ry))
        found.append(SimulatedFinding(region, dwell_weight=1.0))
    return tuple(found)


def _add_heart_failure(canvas: Canvas, chest: Chest, ratio: float, rng: Generator) -> tuple[SimulatedFinding, ...]:
    found = []
    if ratio > MIN_ENLARGED_RATIO:
        found.append(SimulatedFinding(_region("enlarged heart", chest.boxes["cardiac silhouette"]), dwell_weight=1.5))
    haze, redistribution = rng.uniform(*HAZE_CONTRAST), rng.uniform(*REDISTRIBUTION_CONTRAST)
    with_effusion = rng.random() < EFFUSION_PROB
    effusion_sides = rng.permutation(SIDES)[: rng.integers(1, 3)]
    for side in SIDES:
        lung = chest.lungs[side]
        soft = blur(lung.astype(np.float32), 0.006 * canvas.unit_px)
        uneven = 1 + 0.3 * canvas.smooth_noise(rng, 0.05 * canvas.unit_px)
        base = _basal_ramp(canvas, chest.boxes[f"{side} lung"])
        chest.attenuation[:] += haze * rng.uniform(0.7, 1.3) * base * uneven * soft
        found.append(SimulatedFinding(_region("basal haze", chest.boxes[f"{side} lower lung zone"]), dwell_weight=0.7))
        upper = _part_above(lung, chest.boxes[f"{side} upper lung zone"].y1_px)
        tree = draw_vessels(canvas, rng, chest.hila[side], upper, 5, 0.013 * canvas.unit_px)
        chest.attenuation[:] += redistribution * tree * soft
        zone = chest.boxes[f"{side} upper lung zone"]
        found.append(SimulatedFinding(_region("vascular redistribution", zone), dwell_weight=0.3))
        if with_effusion and side in effusion_sides:
            found.append(SimulatedFinding(_add_effusion(canvas, chest, lung, rng), dwell_weight=1.0))
    return tuple(found)


def _add_effusion(canvas: Canvas, chest: Chest, lung: Mask, rng: Generator) -> Region:
    """Add fluid to the lowest part of a lung, with a surface that rises towards the chest wall."""
    box = bounding_box(lung)
    depth = rng.uniform(0.10, 0.24) * (box.y1_px - box.y0_px)
    wall = box.x1_px if box.centre[0] > canvas.width_px / 2 else box.x0_px
    rise = np.exp(-np.abs(canvas.x_px - wall) / (0.25 * (box.x1_px - box.x0_px)))
    below = canvas.y_px - (box.y1_px - depth * (0.35 + 0.65 * rise))
    fluid = lung & (below > 0)
    soft = blur(lung.astype(np.float32), 0.006 * canvas.unit_px)
    edge = 0.5 + 0.5 * np.tanh(below / (0.02 * canvas.unit_px))
    chest.attenuation[:] += rng.uniform(*EFFUSION_CONTRAST) * edge * soft
    return _region("effusion", bounding_box(fluid))


def _region(name: FindingName, box: Box) -> Region:
    return Region(name, "box", box.x0_px, box.y0_px, box.x1_px, box.y1_px)


def _basal_ramp(canvas: Canvas, lung: Box) -> Layer:
    """Draw a ramp from 0 in the middle of a lung to 1 at its base."""
    share = (canvas.y_px - lung.y0_px) / (lung.y1_px - lung.y0_px)
    return np.broadcast_to(np.clip((share - 0.5) / 0.35, 0, 1), (canvas.height_px, canvas.width_px))


def _part_above(mask: Mask, y_px: float) -> Mask:
    upper = mask.copy()
    upper[round(y_px) :] = False
    return upper


def _random_point(mask: Mask, margin_px: float, rng: Generator) -> tuple[float, float]:
    """Draw a point (x_px, y_px) in a mask, at the given distance from its edge or as far as possible."""
    padded = np.pad(mask.astype(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
    rows, cols = np.nonzero(depth >= min(margin_px, 0.95 * float(depth.max())))
    pick = rng.integers(len(rows))
    return float(cols[pick] + 0.5), float(rows[pick] + 0.5)
