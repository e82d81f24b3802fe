"""What every raw layout is written with: a drawn case, what it adds to the tables, and the tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ggcam.simulation.anatomy import Box, Chest
from ggcam.simulation.canvas import Canvas, Layer
from ggcam.simulation.findings import Finding


@dataclass(frozen=True, eq=False)
class Scene:
    """A drawn image, and what is on it.

    Attributes:
        canvas: its size.
        chest: the anatomy.
        findings: what is wrong, with its place.
        device: whether a device was laid on it.
        image: as exposed, before the detector.
        marker: place of the marker.
    """

    canvas: Canvas
    chest: Chest
    findings: tuple[Finding, ...]
    device: bool
    image: Layer
    marker: Box


@dataclass(frozen=True)
class Written:
    """What a case, whose own files are written, adds to the tables and to the summary.

    Attributes:
        lines: table -> the case's lines in it.
        readings: how many there are.
        fixations: number of rows of fixations, those of a calibration left out.
        missed: readings of an image with findings in which these got no extra dwell.
    """

    lines: Mapping[str, str]
    readings: int
    fixations: int
    missed: int


def csv_lines(rows: Sequence[Sequence[Any]], end: str = "\n") -> str:
    """Records as lines of CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator=end).writerows(rows)
    return text.getvalue()


def write_tables(root: Path, headers: Mapping[str, Sequence[str]], parts: Sequence[Written], end: str = "\n") -> None:
    """Write the tables of all cases, in the given order."""
    for name, header in headers.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        with (root / name).open("w", newline="", encoding="utf-8") as file:
            file.write(csv_lines([header], end))
            file.writelines(part.lines.get(name, "") for part in parts)
