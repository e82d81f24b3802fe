"""A reader's scanpath: a search over the whole chest, and extra dwell where there is something to see.

How many fixations there are, how long each lasts and which of them are "extra" is drawn before it is known where they
go. So count and duration say nothing about the class; only the places do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

from ggcam.gaze.visual_angle import fallback_px_per_degree
from ggcam.simulation.anatomy import Box, Chest
from ggcam.simulation.findings import Finding

Column = Float[np.ndarray, " n"]

MIN_FIXATIONS, MAX_FIXATIONS = 25, 70
SEARCH_MEDIAN_S, DWELL_MEDIAN_S, DURATION_SPREAD = 0.25, 0.33, 0.45
DWELL_SHARE = (0.25, 0.50)
"""Range of the share of the fixations that are extra dwell."""
OFF_IMAGE, ZERO_DURATION = 0.015, 0.006
"""Probability that a fixation is on the screen beside the image, and that the tracker records no duration."""

_WALKS = (
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
"""Two orders of search: one side after the other, and side against side."""


@dataclass(frozen=True)
class SimulatedGaze:
    """Fixations in order of time, in continuous pixels of the image; those beside the image lie beyond its borders."""

    x_px: Column
    y_px: Column
    start_s: Column
    duration_s: Column


def draw_gaze(
    chest: Chest, findings: Sequence[Finding], noise_deg: float, attentive: bool, rng: Generator
) -> SimulatedGaze:
    """Let a reader look at a chest.

    Args:
        chest: where the search goes.
        findings: what the extra dwell goes to; without any, it goes to ordinary places.
        noise_deg: standard deviation of the tracker's error per axis, in degrees.
        attentive: whether the reader sees the findings at all.
        rng: source of all that is random.
    """
    height, width = chest.attenuation.shape
    count = int(np.clip(round(rng.normal(45, 9)), MIN_FIXATIONS, MAX_FIXATIONS))
    dwells = _dwell_episodes(count, rng)
    median = np.where(dwells, DWELL_MEDIAN_S, SEARCH_MEDIAN_S)
    duration = np.clip(median * np.exp(DURATION_SPREAD * rng.standard_normal(count)), 0.06, 2.5)
    duration[rng.random(count) < ZERO_DURATION] = 0.0
    gap = 0.03 + rng.exponential(0.03, count)
    start = 0.2 + np.cumsum(duration + gap) - duration

    places = np.empty((count, 2))
    places[~dwells] = _search(chest, int((~dwells).sum()), rng)
    seen = findings if attentive else ()
    places[dwells] = _dwell(seen, int(dwells.sum()), rng) if seen else _decoys(chest, int(dwells.sum()), rng)
    places += rng.normal(0, noise_deg * fallback_px_per_degree((height, width)), size=(count, 2))
    beside = rng.random(count) < OFF_IMAGE
    places[beside, 0] = np.where(rng.random(count) < 0.5, -0.2, 1.2)[beside] * width
    return SimulatedGaze(places[:, 0], places[:, 1], start, duration)


def _dwell_episodes(count: int, rng: Generator) -> np.ndarray:
    """Which fixations are extra dwell: a few runs, none at the very start; boolean, shape (count,)."""
    dwells = np.zeros(count, dtype=bool)
    wanted = round(rng.uniform(*DWELL_SHARE) * count)
    first = count // 6
    while dwells.sum() < wanted:
        start = rng.integers(first, count)
        dwells[start : start + rng.integers(2, 7)] = True
    return dwells


def _search(chest: Chest, count: int, rng: Generator) -> np.ndarray:
    """Places in order of a walk through the chest, shape (count, 2)."""
    walk = _WALKS[rng.integers(len(_WALKS))]
    stops = np.linspace(0, len(walk) * max(1.0, count / 26), count, endpoint=False).astype(int) % len(walk)
    wander = rng.random(count) < 0.2
    stops[wander] = rng.integers(len(walk), size=int(wander.sum()))
    return _around([chest.boxes[walk[stop]] for stop in stops], rng)


def _dwell(findings: Sequence[Finding], count: int, rng: Generator) -> np.ndarray:
    pull = np.array([finding.pull for finding in findings])
    picks = rng.choice(len(findings), size=count, p=pull / pull.sum())
    regions = [findings[pick].region for pick in picks]
    return _around([Box(r.x0_px, r.y0_px, r.x1_px, r.y1_px) for r in regions], rng)


def _decoys(chest: Chest, count: int, rng: Generator) -> np.ndarray:
    """Second looks at ordinary places: two or three of the search's own."""
    stops = rng.choice(len(_WALKS[0]), size=rng.integers(2, 4), replace=False)
    return _around([chest.boxes[_WALKS[0][stop]] for stop in rng.choice(stops, size=count)], rng)


def _around(boxes: Sequence[Box], rng: Generator) -> np.ndarray:
    """A place near the middle of each box, shape (n, 2)."""
    centre = np.array([box.centre for box in boxes]).reshape(-1, 2)
    half = np.array([box.half_sides for box in boxes]).reshape(-1, 2)
    return centre + 0.45 * half * rng.standard_normal(centre.shape)
