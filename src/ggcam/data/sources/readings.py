"""Rows of a gaze table -> the readings of each case, without the rows that say nothing about the image."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from ggcam.errors import DataError
from ggcam.gaze.fixations import Fixations

FEW, MOST = 20, 0.5
"""From this many fixations on, a larger share than this off the image is a fault of the data and not of the reader."""


def group_readings(
    case: Int[np.ndarray, " n"],
    reading_id: Shaped[np.ndarray, " n"],
    fixations: tuple[
        Float[np.ndarray, " n"], Float[np.ndarray, " n"], Float[np.ndarray, " n"], Float[np.ndarray, " n"]
    ],
    sizes: Int[np.ndarray, "cases 2"],
    px_per_degree: Float[np.ndarray, "cases 2"],
    dropped: Counter[str],
    where: Path,
) -> list[dict[str, Fixations]]:
    """Sort fixations to their cases and readings, in order of time.

    Left out, each counted once under the first reason that holds: no position or duration (NaN), off the image, no
    duration (0 or less). Thousands of rows take milliseconds: nothing runs row by row.

    Args:
        case: which case a row belongs to, 0 to cases - 1.
        reading_id: which of the case's readings.
        fixations: x_px, y_px, start_s and duration_s, as :class:`Fixations` has them; NaN where unknown.
        sizes: height and width in pixels of each case's image.
        px_per_degree: pixels per degree of each case's image, to the right and downwards; NaN where unknown.
        dropped: reason -> count, added to.
        where: the table, for the message.

    Returns:
        For each case reading id -> fixations; empty where no row is left.

    Raises:
        DataError: most of many fixations are off their images, so the images are not those that were looked at.
    """
    x, y, _, duration = fixations
    height, width = sizes[case, 0], sizes[case, 1]
    unknown = np.isnan(x) | np.isnan(y) | np.isnan(duration)
    off = ~unknown & ~((x >= 0) & (x < width) & (y >= 0) & (y < height))
    instant = ~unknown & ~off & (duration <= 0)
    if len(off) >= FEW and off.mean() > MOST:
        raise DataError(
            f"{off.mean():.0%} of the fixations lie off their images",
            where=where,
            expected="positions in pixels of the images as they are",
            fix="use the images in the size in which they were looked at, not resized ones",
        )
    for reason, rows in (
        ("fixation without position or duration", unknown),
        ("fixation off the image", off),
        ("fixation of no duration", instant),
    ):
        dropped[reason] += int(rows.sum())
    return _grouped(~(unknown | off | instant), case, reading_id, fixations, px_per_degree)


def _grouped(
    keep: Bool[np.ndarray, " n"],
    case: Int[np.ndarray, " n"],
    reading_id: Shaped[np.ndarray, " n"],
    fixations: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    px_per_degree: Float[np.ndarray, "cases 2"],
) -> list[dict[str, Fixations]]:
    names, reading = np.unique(reading_id.astype(np.str_), return_inverse=True)
    order = np.lexsort((fixations[2], reading, case))
    order = order[keep[order]]
    starts = np.flatnonzero(np.r_[True, (np.diff(case[order]) != 0) | (np.diff(reading[order]) != 0)])
    grouped: list[dict[str, Fixations]] = [{} for _ in px_per_degree]
    for rows in np.split(order, starts[1:]) if len(order) else ():
        x, y, start, duration = (column[rows] for column in fixations)
        at = case[rows[0]]
        degree_x, degree_y = px_per_degree[at]
        grouped[at][str(names[reading[rows[0]]])] = Fixations.build(
            x, y, duration, start, (float(degree_x), float(degree_y))
        )
    return grouped
