"""What the raw layouts have in common: a drawn case, what it adds to the tables, and writing the tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ggcam.simulation.anatomy import Box, Chest
from ggcam.simulation.canvas import Canvas, Layer
from ggcam.simulation.findings import SimulatedFinding


@dataclass(frozen=True, eq=False)
class DrawnCase:
    """A drawn image and its content.

    Attributes:
        canvas: size of the image.
        chest: anatomy.
        findings: findings with their places.
        has_device: whether a device was drawn.
        image: exposed image, before the detector's noise.
        marker: place of the marker.
    """

    canvas: Canvas
    chest: Chest
    findings: tuple[SimulatedFinding, ...]
    has_device: bool
    image: Layer
    marker: Box


@dataclass(frozen=True)
class WrittenCase:
    """What a case adds to the tables and to the summary, once its own files are written.

    Attributes:
        lines: the case's lines in each table, by the table's path.
        readings: number of readings with gaze.
        fixations: number of fixations, without those of a calibration.
        inattentive: number of readings without extra dwell on the findings of an image that has some.
    """

    lines: Mapping[str, str]
    readings: int
    fixations: int
    inattentive: int


def csv_lines(rows: Sequence[Sequence[Any]], end: str = "\n") -> str:
    """Format records as lines of CSV.

    Args:
        rows: records.
        end: line ending.

    Returns:
        The lines, each with its ending.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator=end).writerows(rows)
    return text.getvalue()


def write_tables(
    root: Path, headers: Mapping[str, Sequence[str]], cases: Sequence[WrittenCase], end: str = "\n"
) -> None:
    """Write the tables of all cases.

    Args:
        root: folder of the data set.
        headers: column names of each table, by its path in the folder.
        cases: cases in the order of their lines.
        end: line ending.
    """
    for name, header in headers.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        with (root / name).open("w", newline="", encoding="utf-8") as file:
            file.write(csv_lines([header], end))
            file.writelines(case.lines.get(name, "") for case in cases)
