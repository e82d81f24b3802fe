"""Findings with known place and extent, laid on a chest. What makes a case easy or hard is at the top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.random import Generator

from ggcam.data.case import Region
from ggcam.simulation.anatomy import SIDES, Box, Chest, Mask, box_of, vessels
from ggcam.simulation.canvas import Canvas, Layer, blur

CLASS_NAMES = ("Normal", "CHF", "pneumonia")
"""In the order of EGD-CXR's columns; a case's label is an index into it."""
NORMAL, CHF, PNEUMONIA = range(3)

# Difficulty. Contrasts are in attenuation: air 0, soft tissue about 0.6; a rib on a lung has 0.05.
CONSOLIDATION_CONTRAST = (0.055, 0.115)
"""Range of the peak contrast of a consolidation."""
CONSOLIDATION_RADIUS = (0.04, 0.09)
"""Range of a consolidation's semi-axes, as a share of the image's height."""
CONSOLIDATION_COUNTS = (0.62, 0.28, 0.10)
"""Probabilities of one, two and three consolidations."""
CTR_NORMAL = (0.46, 0.04)
"""Mean and standard deviation of the cardiothoracic ratio without failure of the heart."""
CTR_CHF = (0.53, 0.045)
"""The same in CHF: a third of each overlaps with the other."""
HAZE_CONTRAST = (0.02, 0.06)
"""Range of the peak contrast of the basal haze in CHF."""
EFFUSION_PROBABILITY = 0.35
"""Share of CHF cases with an effusion on one side or both."""
EFFUSION_CONTRAST = (0.08, 0.20)
"""Range of the contrast of an effusion."""
REDISTRIBUTION_CONTRAST = (0.02, 0.07)
"""Range of the contrast of the added upper-zone vessels in CHF."""
DECOY_CONTRAST = 0.045
"""Peak contrast of the shadows that every image has, whatever its class: summation, nipples, crowding at the bases."""

ENLARGED_FROM = 0.50
"""Cardiothoracic ratio from which a heart counts as enlarged."""

FindingName = Literal["consolidation", "enlarged heart", "basal haze", "effusion", "vascular redistribution"]


@dataclass(frozen=True)
class Finding:
    """A finding's name and place, in pixels of the image, and how much it draws the eye in relation to the others."""

    region: Region
    pull: float


def cardiothoracic_ratio(label: int, rng: Generator) -> float:
    """Width of the heart as a share of the inner width of the thorax."""
    return float(np.clip(rng.normal(*(CTR_CHF if label == CHF else CTR_NORMAL)), 0.34, 0.68))


def lay_decoys(canvas: Canvas, chest: Chest, rng: Generator) -> None:
    """Shadows that look a little like findings, in images of every class alike."""
    for side in SIDES:
        soft = blur(chest.lungs[side].astype(np.float32), 0.008 * canvas.unit_px)
        for _ in range(rng.poisson(1.2)):
            radii = canvas.unit_px * rng.uniform(0.02, 0.07, size=2)
            x, y = _centre(chest.lungs[side], 0.3 * radii.max(), rng)
            spot = canvas.spot(x, y, 0.6 * radii[0], 0.6 * radii[1], rng.uniform(0, np.pi))
            chest.attenuation[:] += DECOY_CONTRAST * rng.uniform(0.3, 1.0) * spot * soft
        crowding = DECOY_CONTRAST * rng.uniform(0, 0.8)
        chest.attenuation[:] += crowding * _basal(canvas, chest.boxes[f"{side} lung"]) * soft


def lay_findings(canvas: Canvas, chest: Chest, label: int, ratio: float, rng: Generator) -> tuple[Finding, ...]:
    """Draw the findings of a class on a chest, whose heart already has its size, and tell where they are."""
    if label == PNEUMONIA:
        return _consolidations(canvas, chest, rng)
    if label == CHF:
        return _heart_failure(canvas, chest, ratio, rng)
    return ()


def _consolidations(canvas: Canvas, chest: Chest, rng: Generator) -> tuple[Finding, ...]:
    found = []
    # More often in the right lung; most of several in the same one.
    first, others_there = int(rng.random() < 0.55), rng.random(2) < 0.75
    for other in [True, *others_there][: 1 + int(rng.choice(3, p=CONSOLIDATION_COUNTS))]:
        lung = chest.lungs[SIDES[first if other else 1 - first]]
        rx, ry = canvas.height_px * rng.uniform(*CONSOLIDATION_RADIUS, size=2)
        x, y = _centre(lung, 0.8 * max(rx, ry), rng)
        d2 = canvas.distance2(x, y, rx, ry)
        # An uneven edge and texture; the Gaussian has fallen to 0.14 on the ellipse that is told as the truth.
        uneven = 1 + 0.35 * canvas.cloud(rng, 0.5 * min(rx, ry)) + 0.2 * canvas.cloud(rng, 0.2 * min(rx, ry))
        soft = blur(lung.astype(np.float32), 0.006 * canvas.unit_px)
        shape = np.exp(-2.0 * d2 * np.clip(uneven, 0.4, 1.6)) * np.clip(uneven, 0.5, 1.5)
        chest.attenuation[:] += rng.uniform(*CONSOLIDATION_CONTRAST) * shape * soft
        region = Region("consolidation", "ellipse", float(x - rx), float(y - ry), float(x + rx), float(y + ry))
        found.append(Finding(region, pull=1.0))
    return tuple(found)


def _heart_failure(canvas: Canvas, chest: Chest, ratio: float, rng: Generator) -> tuple[Finding, ...]:
    found = []
    if ratio > ENLARGED_FROM:
        found.append(Finding(_region("enlarged heart", chest.boxes["cardiac silhouette"]), pull=1.5))
    haze, redistribution = rng.uniform(*HAZE_CONTRAST), rng.uniform(*REDISTRIBUTION_CONTRAST)
    with_effusion = rng.random() < EFFUSION_PROBABILITY
    wet_sides = rng.permutation(SIDES)[: rng.integers(1, 3)]
    for side in SIDES:
        lung = chest.lungs[side]
        soft = blur(lung.astype(np.float32), 0.006 * canvas.unit_px)
        uneven = 1 + 0.3 * canvas.cloud(rng, 0.05 * canvas.unit_px)
        base = _basal(canvas, chest.boxes[f"{side} lung"])
        chest.attenuation[:] += haze * rng.uniform(0.7, 1.3) * base * uneven * soft
        found.append(Finding(_region("basal haze", chest.boxes[f"{side} lower lung zone"]), pull=0.7))
        upper = _above(lung, chest.boxes[f"{side} upper lung zone"].y1_px)
        tree = vessels(canvas, rng, chest.hila[side], upper, 5, 0.013 * canvas.unit_px)
        chest.attenuation[:] += redistribution * tree * soft
        zone = chest.boxes[f"{side} upper lung zone"]
        found.append(Finding(_region("vascular redistribution", zone), pull=0.3))
        if with_effusion and side in wet_sides:
            found.append(Finding(_effusion(canvas, chest, lung, rng), pull=1.0))
    return tuple(found)


def _effusion(canvas: Canvas, chest: Chest, lung: Mask, rng: Generator) -> Region:
    """Fluid in the lowest part of a lung, its surface rising towards the chest wall."""
    box = box_of(lung)
    depth = rng.uniform(0.10, 0.24) * (box.y1_px - box.y0_px)
    wall = box.x1_px if box.centre[0] > canvas.width_px / 2 else box.x0_px
    rise = np.exp(-np.abs(canvas.x_px - wall) / (0.25 * (box.x1_px - box.x0_px)))
    below = canvas.y_px - (box.y1_px - depth * (0.35 + 0.65 * rise))
    fluid = lung & (below > 0)
    soft = blur(lung.astype(np.float32), 0.006 * canvas.unit_px)
    edge = 0.5 + 0.5 * np.tanh(below / (0.02 * canvas.unit_px))
    chest.attenuation[:] += rng.uniform(*EFFUSION_CONTRAST) * edge * soft
    return _region("effusion", box_of(fluid))


def _region(name: FindingName, box: Box) -> Region:
    return Region(name, "box", box.x0_px, box.y0_px, box.x1_px, box.y1_px)


def _basal(canvas: Canvas, lung: Box) -> Layer:
    """A ramp from 0 in the middle of a lung to 1 at its base."""
    share = (canvas.y_px - lung.y0_px) / (lung.y1_px - lung.y0_px)
    return np.broadcast_to(np.clip((share - 0.5) / 0.35, 0, 1), (canvas.height_px, canvas.width_px))


def _above(mask: Mask, y_px: float) -> Mask:
    upper = mask.copy()
    upper[round(y_px) :] = False
    return upper


def _centre(mask: Mask, margin_px: float, rng: Generator) -> tuple[float, float]:
    """A random place in a mask, as far from its edge as asked or as can be, (x_px, y_px)."""
    padded = np.pad(mask.astype(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
    rows, cols = np.nonzero(depth >= min(margin_px, 0.95 * float(depth.max())))
    pick = rng.integers(len(rows))
    return float(cols[pick] + 0.5), float(rows[pick] + 0.5)
