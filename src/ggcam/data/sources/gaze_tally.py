"""Counts of the gaze that cannot be used, and the error when that is most of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from ggcam.data.sources.fixation_rows import FixationRows
from ggcam.errors import DataError
from ggcam.gaze.fixations import inside_image

Reason = Literal[
    "an image that is not a case",
    "a position off the image",
    "no position",
    "no duration",
    "no fixation around it",
]

MAX_DROPPED: dict[Reason, float] = {
    "an image that is not a case": 0.5,
    "a position off the image": 0.5,
    "no position": 0.8,
    "no duration": 0.8,
    "no fixation around it": 0.9,
}
"""Reason -> largest share of the gaze that may be dropped for it."""

CAUSES: dict[Reason, str] = {
    "an image that is not a case": "compare the names of the images in the file with those in the folder",
    "a position off the image": "check --units, --origin, --screen and --image-rect; and use the images in the size in "
    "which they were viewed, not resized ones",
    "no position": "check that the columns of x and y are those of the gaze",
    "no duration": "check the column of durations, and --duration-unit",
    "no fixation around it": "check --time-unit and --px-per-degree, and the thresholds of --detect",
}

MIN_ROWS = 20
"""Fewer rows than this are only refused if none is left."""

_EXAMPLES = 3


@dataclass
class GazeTally:
    """How much of the gaze of a data set is dropped, and why.

    Attributes:
        unit: "samples" or "fixations".
        where: the table, or the recording or folder of recordings.
        n_cases: number of cases.
        total: number of rows.
        dropped: reason -> number of rows.
        examples: reason -> the first rows, in words.
        with_gaze: indices of the cases with a usable row.
    """

    unit: str
    where: Path
    n_cases: int
    total: int = 0
    dropped: dict[Reason, int] = field(default_factory=dict)
    examples: dict[Reason, list[str]] = field(default_factory=dict)
    with_gaze: set[int] = field(default_factory=set)

    def add(
        self,
        reason: Reason | None,
        row: Int[np.ndarray, " n"],
        path: Path,
        n_rows: int,
        x: Float[np.ndarray, " n"] | None = None,
        y: Float[np.ndarray, " n"] | None = None,
    ) -> None:
        """Count rows.

        Args:
            reason: why they are dropped; None for rows that are used.
            row: rows of the file; the first ones are quoted.
            path: the file.
            n_rows: how many rows there are.
            x: recorded positions.
            y: recorded positions.
        """
        self.total += n_rows
        if reason is None or not n_rows:
            return
        self.dropped[reason] = self.dropped.get(reason, 0) + n_rows
        examples = self.examples.setdefault(reason, [])
        for index, number in enumerate(row[: _EXAMPLES - len(examples)].tolist()):
            at = "" if x is None or y is None else f" (x = {x[index]:g}, y = {y[index]:g})"
            examples.append(f"{path.name}:{number}{at}")

    def add_by_reason(
        self,
        reasons: Mapping[Reason | None, Bool[np.ndarray, " n"]],
        row: Int[np.ndarray, " n"],
        path: Path,
        x: Float[np.ndarray, " n"],
        y: Float[np.ndarray, " n"],
    ) -> None:
        """Count rows that are dropped for several reasons.

        Args:
            reasons: reason -> which rows are dropped for it; None for those that are used.
            row: row of each in the file.
            path: the file.
            x: recorded positions.
            y: recorded positions.
        """
        for reason, mask in reasons.items():
            self.add(reason, row[mask], path, int(mask.sum()), x[mask], y[mask])

    def add_rows(
        self,
        rows: FixationRows,
        sizes: Int[np.ndarray, "cases 2"],
        row: Int[np.ndarray, " n"],
        path: Path,
        x: Float[np.ndarray, " n"],
        y: Float[np.ndarray, " n"],
    ) -> None:
        """Count fixations.

        Args:
            rows: the fixations.
            sizes: height and width of each case's image.
            row: row of each in the file.
            path: the file.
            x: recorded positions.
            y: recorded positions.
        """
        unknown = np.isnan(rows.x_px) | np.isnan(rows.y_px)
        off = ~unknown & ~inside_image(rows.x_px, rows.y_px, sizes[rows.case, 0], sizes[rows.case, 1])
        short = ~unknown & ~off & ~(rows.duration_s > 0)
        used = ~(unknown | off | short)
        reasons: dict[Reason | None, Bool[np.ndarray, " n"]] = {
            "no position": unknown,
            "a position off the image": off,
            "no duration": short,
            None: used,
        }
        self.add_by_reason(reasons, row, path, x, y)
        self.with_gaze.update(np.unique(rows.case[used]).tolist())

    def check(self) -> None:
        """Refuse data of which no gaze, or hardly any, can be used.

        Raises:
            DataError: with the number of rows, the first ones, and the likely cause.
        """
        n_dropped = sum(self.dropped.values())
        if not n_dropped:
            return
        reason = max(self.dropped, key=lambda each: self.dropped[each])
        share = self.dropped[reason] / self.total
        too_many = share > MAX_DROPPED[reason] and self.total >= MIN_ROWS
        if reason == "an image that is not a case":  # recordings may have more images than a subset of them
            too_many = too_many and len(self.with_gaze) < self.n_cases / 2
        if n_dropped < self.total and not too_many:
            return
        raise DataError(
            f"{self.dropped[reason]:,} of {self.total:,} {self.unit} ({share:.0%}) cannot be used: {reason}",
            where=self.where,
            got=f"the first: {'; '.join(self.examples[reason])}",
            hint=CAUSES[reason],
        )
