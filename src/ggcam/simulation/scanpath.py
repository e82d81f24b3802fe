"""A simulated reader's scanpath: a search of the whole chest, and extra dwell on the findings.

The number of fixations, their durations and which of them are extra dwell are drawn first, independent of the findings.
So only the positions depend on the class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

from ggcam.gaze.visual_angle import fallback_px_per_degree
from ggcam.simulation.anatomy import Box, Chest
from ggcam.simulation.findings import SimulatedFinding

Column = Float[np.ndarray, " n"]

MIN_FIXATIONS, MAX_FIXATIONS = 25, 70
SEARCH_MEDIAN_S, DWELL_MEDIAN_S, DURATION_SPREAD = 0.25, 0.33, 0.45
DWELL_SHARE = (0.25, 0.50)
"""Range of the share of fixations that are extra dwell."""
OFF_IMAGE_PROB, ZERO_DURATION_PROB = 0.015, 0.006
"""Probability that a fixation is on the screen but off the image, and that the tracker records a duration of 0."""

_SEARCH_ORDERS = (
    (
        *("upper mediastinum", "right upper lung zone", "right mid lung zone", "right lower lung zone"),
        *("right costophrenic angle", "cardiac silhouette", "left costophrenic angle", "left lower lung zone"),
        *("left mid lung zone", "left upper lung zone", "left hilar structures", "right hilar structures"),
    ),
    (
        *("cardiac silhouette", "upper mediastinum", "left upper lung zone", "right upper lung zone"),
        *("right mid lung zone", "left mid lung zone", "left lower lung zone", "right lower lung zone"),
        *("right costophrenic angle", "left costophrenic angle", "right hilar structures", "left hilar structures"),
    ),
)
"""Two orders of search: one lung after the other, and comparing the lungs zone by zone."""


@dataclass(frozen=True)
class SimulatedGaze:
    """Fixations in order of time.

    Attributes:
        x_px: horizontal positions in continuous pixels of the image; outside its borders if off the image.
        y_px: vertical positions in continuous pixels of the image.
        start_s: start times in seconds.
        duration_s: durations in seconds.
    """

    x_px: Column
    y_px: Column
    start_s: Column
    duration_s: Column


def draw_gaze(
    chest: Chest, findings: Sequence[SimulatedFinding], noise_deg: float, attentive: bool, rng: Generator
) -> SimulatedGaze:
    """Draw the gaze of one reader.

    Args:
        chest: anatomy that is searched.
        findings: findings that get extra dwell; without any, ordinary positions get it.
        noise_deg: standard deviation of the tracker's error per axis, in degrees.
        attentive: whether the reader notices the findings.
        rng: random generator of the case.

    Returns:
        The fixations.
    """
    height, width = chest.attenuation.shape
    count = int(np.clip(round(rng.normal(45, 9)), MIN_FIXATIONS, MAX_FIXATIONS))
    dwells = _dwell_episodes(count, rng)
    median = np.where(dwells, DWELL_MEDIAN_S, SEARCH_MEDIAN_S)
    duration = np.clip(median * np.exp(DURATION_SPREAD * rng.standard_normal(count)), 0.06, 2.5)
    duration[rng.random(count) < ZERO_DURATION_PROB] = 0.0
    gap = 0.03 + rng.exponential(0.03, count)
    start = 0.2 + np.cumsum(duration + gap) - duration

    positions = np.empty((count, 2))
    positions[~dwells] = _search(chest, int((~dwells).sum()), rng)
    noticed = findings if attentive else ()
    positions[dwells] = (
        _dwell_on(noticed, int(dwells.sum()), rng) if noticed else _second_looks(chest, int(dwells.sum()), rng)
    )
    positions += rng.normal(0, noise_deg * fallback_px_per_degree((height, width)), size=(count, 2))
    off_image = rng.random(count) < OFF_IMAGE_PROB
    positions[off_image, 0] = np.where(rng.random(count) < 0.5, -0.2, 1.2)[off_image] * width
    return SimulatedGaze(positions[:, 0], positions[:, 1], start, duration)


def _dwell_episodes(count: int, rng: Generator) -> np.ndarray:
    """Choose the fixations that are extra dwell: a few runs, none at the very start; boolean, shape (count,)."""
    dwells = np.zeros(count, dtype=bool)
    num_dwells = round(rng.uniform(*DWELL_SHARE) * count)
    first = count // 6
    while dwells.sum() < num_dwells:
        start = rng.integers(first, count)
        dwells[start : start + rng.integers(2, 7)] = True
    return dwells


def _search(chest: Chest, count: int, rng: Generator) -> np.ndarray:
    """Draw the positions of a search through the chest, shape (count, 2)."""
    order = _SEARCH_ORDERS[rng.integers(len(_SEARCH_ORDERS))]
    stops = np.linspace(0, len(order) * max(1.0, count / 26), count, endpoint=False).astype(int) % len(order)
    wander = rng.random(count) < 0.2
    stops[wander] = rng.integers(len(order), size=int(wander.sum()))
    return _points_near([chest.boxes[order[stop]] for stop in stops], rng)


def _dwell_on(findings: Sequence[SimulatedFinding], count: int, rng: Generator) -> np.ndarray:
    weights = np.array([finding.dwell_weight for finding in findings])
    picks = rng.choice(len(findings), size=count, p=weights / weights.sum())
    regions = [findings[pick].region for pick in picks]
    return _points_near([Box(r.x0_px, r.y0_px, r.x1_px, r.y1_px) for r in regions], rng)


def _second_looks(chest: Chest, count: int, rng: Generator) -> np.ndarray:
    """Draw positions of second looks at two or three ordinary places, shape (count, 2)."""
    stops = rng.choice(len(_SEARCH_ORDERS[0]), size=rng.integers(2, 4), replace=False)
    return _points_near([chest.boxes[_SEARCH_ORDERS[0][stop]] for stop in rng.choice(stops, size=count)], rng)


def _points_near(boxes: Sequence[Box], rng: Generator) -> np.ndarray:
    """Draw a position near the centre of each box, shape (n, 2)."""
    centre = np.array([box.centre for box in boxes]).reshape(-1, 2)
    half = np.array([box.half_size for box in boxes]).reshape(-1, 2)
    return centre + 0.45 * half * rng.standard_normal(centre.shape)
