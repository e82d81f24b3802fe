"""Rows of one reading in REFLACX's tables: labels with certainties, ellipses and fixations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.random import Generator

from ggcam.simulation.anatomy import Box, Chest
from ggcam.simulation.findings import SimulatedFinding
from ggcam.simulation.reflacx_columns import LABELS
from ggcam.simulation.reflacx_screen import ScreenViews
from ggcam.simulation.scanpath import SimulatedGaze

_LABELS: Mapping[str, str] = {
    "consolidation": "Consolidation",
    "enlarged heart": "Enlarged cardiac silhouette",
    "basal haze": "Groundglass opacity",
    "effusion": "Pleural abnormality",
    "vascular redistribution": "Pulmonary edema",
}
_PHASE_1_NAMES = {"Pleural abnormality": "Pleural effusion"}
PRESENT, MISSED, ABSENT = ((0, 0.02, 0.05, 0.2, 0.3, 0.43), (0.7, 0.15, 0.15), (0.9, 0.05, 0.03, 0.02))
"""Probabilities of the certainties 0, 1, 2, ... of a label that is present, present but overlooked, and absent."""

AUDIO_OFFSET_S = (0.2, 2.5)
"""Range of the start of the audio recording, in seconds since the image appeared; the tables count times from it."""


def label_name(finding: SimulatedFinding, phase: int) -> str:
    """Return the label of a finding in a phase of the data set.

    Args:
        finding: the finding.
        phase: 1, 2 or 3.

    Returns:
        One of the phase's labels.
    """
    name = _LABELS[finding.region.name]
    return _PHASE_1_NAMES.get(name, name) if phase == 1 else name


def draw_certainties(
    findings: Sequence[SimulatedFinding], phase: int, attentive: bool, device: bool, rng: Generator
) -> dict[str, Any]:
    """Draw the values of a phase's labels.

    Args:
        findings: findings in the image.
        phase: 1, 2 or 3.
        attentive: whether the reader looked at the findings.
        device: whether the image shows a device.
        rng: random generator of the case.

    Returns:
        Values by label: mostly certainties, 0 (absent) to 5.
    """
    present = {label_name(finding, phase) for finding in findings}
    values: dict[str, Any] = {}
    for label in LABELS[phase]:
        chances = ABSENT if label not in present else PRESENT if attentive else MISSED
        values[label] = int(rng.choice(len(chances), p=chances))
    # Three labels have other values: two are true or false, one is free text.
    values["Support devices"] = device
    values["Other"] = ("", "", "", "azygos fissure", "nipple shadow|skin fold")[rng.integers(5)]
    if phase == 1:
        values["Quality issue"] = bool(rng.random() < 0.05)
    return values


def ellipse_rows(
    findings: Sequence[SimulatedFinding], phase: int, values: Mapping[str, Any], size: tuple[int, int], rng: Generator
) -> list[list[Any]]:
    """Make the rows of anomaly_location_ellipses.csv.

    Args:
        findings: findings in the image.
        phase: 1, 2 or 3.
        values: values of the labels; a finding with certainty 0 gets no row.
        size: height and width of the image in pixels.
        rng: random generator of the case.

    Returns:
        Rows of four corners, the certainty, and one column per label.
    """
    rows = []
    for finding in findings:
        label = label_name(finding, phase)
        if values[label]:
            box = Box(*(getattr(finding.region, side) for side in ("x0_px", "y0_px", "x1_px", "y1_px")))
            rows.append([*_hand_drawn(box, size, rng), values[label], *(name == label for name in LABELS[phase])])
    return rows


def chest_row(chest: Chest, size: tuple[int, int], rng: Generator) -> list[int]:
    """Make the row of chest_bounding_box.csv, a box around lungs and heart.

    Args:
        chest: the anatomy.
        size: height and width of the image in pixels.
        rng: random generator of the case.

    Returns:
        The box's corners.
    """
    boxes = [chest.boxes[name] for name in ("left lung", "right lung", "cardiac silhouette")]
    low, high = (np.array([[getattr(box, f"{axis}{end}_px") for axis in "xy"] for box in boxes]) for end in "01")
    return _hand_drawn(Box(*low.min(axis=0), *high.max(axis=0)), size, rng)


def _hand_drawn(box: Box, size: tuple[int, int], rng: Generator) -> list[int]:
    """Move each side of a box by a few hundredths of its size, and round to whole pixels inside the image."""
    half, (height, width) = np.tile(box.half_size, 2), size
    sides = np.array([box.x0_px, box.y0_px, box.x1_px, box.y1_px]) + 0.06 * half * rng.standard_normal(4)
    low = np.clip(np.rint(sides[:2]), 0, (width - 2, height - 2))
    high = np.clip(np.rint(sides[2:]), low + 1, (width, height))
    return [int(side) for side in (*low, *high)]


def fixation_rows(gaze: SimulatedGaze, views: ScreenViews, zero_s: float, rng: Generator) -> list[list[Any]]:
    """Make the rows of fixations.csv.

    Args:
        gaze: the reader's gaze.
        views: part of the image that was shown during each fixation.
        zero_s: start of the audio recording, from which times are counted, in seconds.
        rng: random generator of the case.

    Returns:
        One row per fixation.
    """
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
