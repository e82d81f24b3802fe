"""What a simulated reader says during a REFLACX reading, and when.

Sentences name the side and often the height of a finding; now and then they leave the place out or confuse the sides. A
finding is named some time after half of the dwell on it is over. Some readers speak as they look, others keep to the
order of a report, and sentences do not overlap, so that mentions lag behind the gaze by a variable time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator

from ggcam.simulation.anatomy import SIDES, Chest, Side
from ggcam.simulation.findings import FindingName, SimulatedFinding
from ggcam.simulation.scanpath import SimulatedGaze

WORD_DURATION_S, PAUSE_S = 0.32, 0.05
LAG_MEDIAN_S, LAG_SPREAD = 1.5, 0.5
"""Median, and standard deviation of the logarithm, of the time from half of the dwell on a finding to its mention."""

REPORT_ORDER_PROB = 0.3
"""Probability that a reader names the findings in the order of a report: heart, lungs, pleura."""

NO_SIDE_PROB, NO_HEIGHT_PROB, WRONG_SIDE_PROB = 0.1, 0.4, 0.02
"""Probabilities that a sentence leaves out the side or the height of a finding, and that it names the wrong side."""

_SENTENCES: dict[FindingName, tuple[str, ...]] = {
    "enlarged heart": ("The cardiac silhouette is enlarged.", "Cardiomegaly."),
    "consolidation": (
        "There is a patchy opacity in the {place} lung, concerning for pneumonia.",
        "{place} consolidation.",
        "Consolidation in the {place} lung.",
    ),
    "basal haze": ("Hazy opacities in the {place} basilar region.", "{place} basilar ground glass opacities."),
    "vascular redistribution": ("{place} upper zone vascular redistribution.", "Mild edema, {place}."),
    "effusion": ("Small {place} pleural effusion.", "{place} effusion."),
}
"""Finding -> ways to name it, in the order of a report."""

_NORMAL = ("Lungs are clear.", "The cardiomediastinal silhouette is normal.")
_LAST = "No pneumothorax."


class _Statement(NamedTuple):
    """A sentence, the findings that it names, and its place in a report."""

    text: str
    findings: tuple[SimulatedFinding, ...]
    order: int


def word_rows(
    findings: Sequence[SimulatedFinding], gaze: SimulatedGaze, chest: Chest, zero_s: float, rng: Generator
) -> list[list[Any]]:
    """Make the rows of timestamps_transcription.csv.

    Args:
        findings: findings that the reader mentions.
        gaze: the reader's gaze.
        chest: the anatomy.
        zero_s: start of the audio recording, from which times are counted, in seconds.
        rng: random generator of the dictation.

    Returns:
        Rows of word, start and end; commas and full stops count as words.
    """
    statements = _draw_statements(findings, chest, rng)
    lags_s = LAG_MEDIAN_S * np.exp(LAG_SPREAD * rng.standard_normal(len(statements)))
    due_s = [
        min((_time_of_dwell_s(finding, gaze) for finding in statement.findings), default=_end_s(gaze)) + lag_s
        for statement, lag_s in zip(statements, lags_s.tolist(), strict=True)
    ]
    in_report_order = rng.random() < REPORT_ORDER_PROB
    order = [statement.order for statement in statements] if in_report_order else due_s
    rows: list[list[Any]] = []
    now = 0.0
    for at in np.argsort(order, kind="stable").tolist():
        now = max(now, due_s[at])
        for word in statements[at].text.replace(",", " ,").replace(".", " .").split():
            length = PAUSE_S if word in ",." else WORD_DURATION_S
            rows.append([word, f"{now - zero_s:.3f}", f"{now + length - zero_s:.3f}"])
            now += length
    return rows


def _draw_statements(findings: Sequence[SimulatedFinding], chest: Chest, rng: Generator) -> list[_Statement]:
    """Name each consolidation by itself, and other findings on both sides together."""
    statements: list[_Statement] = []
    for order, (name, ways) in enumerate(_SENTENCES.items()):
        named = [finding for finding in findings if finding.region.name == name]
        groups = [[finding] for finding in named] if name == "consolidation" else [named]
        for group in filter(None, groups):
            place = _draw_place(group, chest, name == "consolidation", rng)
            words = ways[rng.integers(len(ways))].format(place=place).replace(", .", ".").split()
            text = " ".join(words)
            statements.append(_Statement(text[0].upper() + text[1:], tuple(group), order))
    if not statements:
        statements = [_Statement(text, (), order) for order, text in enumerate(_NORMAL)]
    return [*statements, _Statement(_LAST, (), len(_SENTENCES))]


def _draw_place(findings: Sequence[SimulatedFinding], chest: Chest, with_height: bool, rng: Generator) -> str:
    """Draw the words for the place of findings: a side and, for a single one, a height; or fewer words."""
    sides = {_side(finding, chest) for finding in findings}
    no_side, no_height, wrong_side = rng.random(3) < (NO_SIDE_PROB, NO_HEIGHT_PROB, WRONG_SIDE_PROB)
    words = []
    if not no_side:
        if len(sides) == 2:
            words.append("bilateral")
        else:
            (side,) = sides
            words.append(SIDES[1 - SIDES.index(side)] if wrong_side else side)
    if with_height and not no_height:
        words.append(_height(findings[0], chest))
    return " ".join(words)


def _side(finding: SimulatedFinding, chest: Chest) -> Side:
    """Return the patient's side: the left half of the image shows the right one."""
    middle = (finding.region.x0_px + finding.region.x1_px) / 2
    return "right" if middle < chest.attenuation.shape[1] / 2 else "left"


def _height(finding: SimulatedFinding, chest: Chest) -> str:
    middle = (finding.region.y0_px + finding.region.y1_px) / 2
    side = _side(finding, chest)
    if middle < chest.boxes[f"{side} upper lung zone"].y1_px:
        return "upper"
    return "mid" if middle < chest.boxes[f"{side} lower lung zone"].y0_px else "lower"


def _time_of_dwell_s(finding: SimulatedFinding, gaze: SimulatedGaze) -> float:
    """Return the time at which half of the dwell on a finding is over; without dwell, the end of the gaze."""
    region = finding.region
    inside = (gaze.x_px >= region.x0_px) & (gaze.x_px < region.x1_px)
    inside &= (gaze.y_px >= region.y0_px) & (gaze.y_px < region.y1_px)
    if not inside.any():
        return _end_s(gaze)
    dwell = gaze.duration_s[inside].cumsum()
    end_s = gaze.start_s + gaze.duration_s
    return float(end_s[inside][np.searchsorted(dwell, dwell[-1] / 2)])


def _end_s(gaze: SimulatedGaze) -> float:
    return float(gaze.start_s[-1] + gaze.duration_s[-1])
