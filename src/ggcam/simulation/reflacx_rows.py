"""What one reading adds to REFLACX: labels with certainties, ellipses, fixations, and the words with their times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.random import Generator

from ggcam.simulation.anatomy import Box, Chest
from ggcam.simulation.findings import Finding
from ggcam.simulation.reflacx_columns import LABELS
from ggcam.simulation.reflacx_screen import Views
from ggcam.simulation.scanpath import SimulatedGaze
from ggcam.simulation.spoken import spoken_phrases

_LABEL_OF: Mapping[str, str] = {
    "consolidation": "Consolidation",
    "enlarged heart": "Enlarged cardiac silhouette",
    "basal haze": "Groundglass opacity",
    "effusion": "Pleural abnormality",
    "vascular redistribution": "Pulmonary edema",
}
_IN_PHASE_1 = {"Pleural abnormality": "Pleural effusion"}
_WORDS = ("Other", "Quality issue", "Support devices")
"""Labels without a certainty: free text, and two of True and False."""

PRESENT, MISSED, ABSENT = ((0, 0.02, 0.05, 0.2, 0.3, 0.43), (0.7, 0.15, 0.15), (0.9, 0.05, 0.03, 0.02))
"""Probabilities of the certainties 0, 1, 2, ... for what is there, there but overlooked, and not there."""

SECONDS_A_WORD, SPEAKS_AFTER_S = 0.32, 0.4
RECORDS_BEFORE_S = (0.2, 2.5)
"""The sound is recorded from so long before or after the image came up, hence negative times."""


def label_of(finding: Finding, phase: int) -> str:
    """What the phase calls a finding."""
    name = _LABEL_OF[finding.region.name]
    return _IN_PHASE_1.get(name, name) if phase == 1 else name


def certainties(
    findings: Sequence[Finding], phase: int, attentive: bool, device: bool, rng: Generator
) -> dict[str, Any]:
    """Value of each of the phase's labels."""
    present = {label_of(finding, phase) for finding in findings}
    values: dict[str, Any] = {}
    for label in LABELS[phase]:
        chances = ABSENT if label not in present else PRESENT if attentive else MISSED
        values[label] = int(rng.choice(len(chances), p=chances))
    values["Support devices"] = device
    values["Other"] = ("", "", "", "azygos fissure", "nipple shadow|skin fold")[rng.integers(5)]
    if phase == 1:
        values["Quality issue"] = bool(rng.random() < 0.05)
    return values


def ellipse_rows(
    findings: Sequence[Finding], phase: int, values: Mapping[str, Any], size: tuple[int, int], rng: Generator
) -> list[list[Any]]:
    """Corners, certainty and the phase's labels of each finding, but those that the reader is sure are absent."""
    rows = []
    for finding in findings:
        label = label_of(finding, phase)
        if values[label]:
            box = Box(*(getattr(finding.region, side) for side in ("x0_px", "y0_px", "x1_px", "y1_px")))
            rows.append([*_by_hand(box, size, rng), values[label], *(name == label for name in LABELS[phase])])
    return rows


def chest_row(chest: Chest, size: tuple[int, int], rng: Generator) -> list[int]:
    """Box around lungs and heart."""
    boxes = [chest.boxes[name] for name in ("left lung", "right lung", "cardiac silhouette")]
    low, high = (np.array([[getattr(box, f"{axis}{end}_px") for axis in "xy"] for box in boxes]) for end in "01")
    return _by_hand(Box(*low.min(axis=0), *high.max(axis=0)), size, rng)


def _by_hand(box: Box, size: tuple[int, int], rng: Generator) -> list[int]:
    """Corners in whole pixels of the image, as a hand draws them: each off by a few hundredths of the box."""
    half, (height, width) = np.tile(box.half_sides, 2), size
    sides = np.array([box.x0_px, box.y0_px, box.x1_px, box.y1_px]) + 0.06 * half * rng.standard_normal(4)
    low = np.clip(np.rint(sides[:2]), 0, (width - 2, height - 2))
    high = np.clip(np.rint(sides[2:]), low + 1, (width, height))
    return [int(side) for side in (*low, *high)]


def fixation_rows(gaze: SimulatedGaze, views: Views, zero_s: float, rng: Generator) -> list[list[Any]]:
    """All columns of fixations.csv; times since `zero_s`, when the recording of the sound began."""
    start, n = gaze.start_s - zero_s, len(gaze.x_px)
    pupil = rng.normal(1, 0.08, n)
    window = np.repeat([[1.0, 0.5]], n, axis=0)
    window[rng.integers(n) :] = np.round(rng.uniform((0.5, 0.4), (1.0, 0.6)), 4)
    columns = np.concatenate([views.shown_px, views.screen_px], axis=1).tolist()
    pixels = np.floor(np.stack([gaze.x_px, gaze.y_px], axis=1)).astype(int).tolist()
    return [
        [f"{begin:.3f}", f"{begin + length:.3f}", *pixel, f"{area:.4f}", *(f"{each:.4f}" for each in degrees), *rest]
        for begin, length, pixel, area, degrees, rest in zip(
            start.tolist(),
            gaze.duration_s.tolist(),
            pixels,
            pupil.tolist(),
            views.px_per_degree.tolist(),
            [[*of_window, *of_view] for of_window, of_view in zip(window.tolist(), columns, strict=True)],
            strict=True,
        )
    ]


def word_rows(findings: Sequence[Finding], gaze: SimulatedGaze, width_px: int, zero_s: float) -> list[list[Any]]:
    """Word, start and end of each word and stop; a finding is named soon after it was looked at."""
    phrases = spoken_phrases(findings, width_px)
    due = [(_looked_at_s(finding, gaze), text) for text, finding in phrases]
    rows: list[list[Any]] = []
    now = 0.0
    for at_s, text in sorted(due, key=lambda each: each[0]):
        now = max(now, at_s + SPEAKS_AFTER_S)
        for word in text.replace(",", " ,").replace(".", " .").split():
            length = 0.05 if word in ",." else SECONDS_A_WORD
            rows.append([word, f"{now - zero_s:.3f}", f"{now + length - zero_s:.3f}"])
            now += length
    return rows


def _looked_at_s(finding: Finding | None, gaze: SimulatedGaze) -> float:
    """When half of the time spent on a finding was over; the end of the gaze for what was never looked at."""
    end = gaze.start_s + gaze.duration_s
    if finding is None:
        return float(end[-1])
    region = finding.region
    inside = (gaze.x_px >= region.x0_px) & (gaze.x_px < region.x1_px)
    inside &= (gaze.y_px >= region.y0_px) & (gaze.y_px < region.y1_px)
    if not inside.any():
        return float(end[-1])
    spent = gaze.duration_s[inside].cumsum()
    return float(end[inside][np.searchsorted(spent, spent[-1] / 2)])
