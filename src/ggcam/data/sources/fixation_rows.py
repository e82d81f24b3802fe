"""Rows of a gaze table -> the readings of each case, without the rows that say nothing about the image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numpy.typing import ArrayLike, DTypeLike

from ggcam.errors import DataError
from ggcam.gaze.fixations import Fixations

MIN_FIXATIONS, MAX_OFF_IMAGE = 20, 0.5
"""From this many fixations on, a larger share than this off the image is a fault of the data and not of the reader."""

Column = Float[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class FixationRows:
    """Fixations of many cases and readings, in any order, as a table has them.

    Attributes:
        case: shape (n,), which case a row belongs to.
        reading_id: shape (n,), which of the case's readings.
        x_px, y_px, start_s, duration_s, px_per_degree_x, px_per_degree_y, label: as in :class:`Fixations`, but NaN
            wherever unknown.
    """

    case: Int[np.ndarray, " n"]
    reading_id: Shaped[np.ndarray, " n"]
    x_px: Column
    y_px: Column
    start_s: Column
    duration_s: Column
    px_per_degree_x: Column
    px_per_degree_y: Column
    label: Shaped[np.ndarray, " n"]

    @classmethod
    def build(
        cls,
        case: Int[np.ndarray, " n"],
        x_px: Column,
        y_px: Column,
        start_s: Column | float = np.nan,
        duration_s: Column | float = 1.0,
        px_per_degree: Float[np.ndarray, "n 2"] | float = np.nan,
        reading_id: Shaped[np.ndarray, " n"] | str = "1",
        label: Shaped[np.ndarray, " n"] | str = "",
    ) -> FixationRows:
        """Make rows; a single number or word stands for every row."""
        degrees = np.broadcast_to(np.asarray(px_per_degree, dtype=np.float64), (len(case), 2))

        def column(value: ArrayLike, dtype: DTypeLike = np.float64) -> np.ndarray:
            return np.broadcast_to(np.asarray(value, dtype=dtype), case.shape)

        return cls(
            case=case,
            reading_id=column(reading_id, np.str_),
            x_px=column(x_px),
            y_px=column(y_px),
            start_s=column(start_s),
            duration_s=column(duration_s),
            px_per_degree_x=degrees[:, 0],
            px_per_degree_y=degrees[:, 1],
            label=column(label, np.str_),
        )

    @classmethod
    def from_fixations(cls, case: int, reading_id: str, fixations: Fixations) -> FixationRows:
        """The fixations of one reading."""
        columns = {field.name: getattr(fixations, field.name) for field in fields(Fixations)}
        number, name = np.full(len(fixations), case), np.full(len(fixations), reading_id)
        return cls(case=number, reading_id=name, **columns)

    @classmethod
    def concatenate(cls, parts: Sequence[FixationRows]) -> FixationRows:
        """All rows of several tables, one after the other; none for no tables."""
        parts = parts or [cls.build(np.empty(0, dtype=np.int64), np.empty(0), np.empty(0))]
        return cls(
            **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)}
        )

    def select(self, keep: Bool[np.ndarray, " n"] | Int[np.ndarray, " kept"]) -> FixationRows:
        """The rows where `keep` is true, or those of the given numbers, in that order."""
        return FixationRows(**{field.name: getattr(self, field.name)[keep] for field in fields(self)})


def group_readings(
    rows: FixationRows, sizes: Int[np.ndarray, "cases 2"], dropped: Counter[str], where: Path
) -> list[dict[str, Fixations]]:
    """Sort fixations to their cases and readings, in order of time.

    Left out, each counted once under the first reason that holds: no position or duration (NaN), off the image, no
    duration (0 or less). Thousands of rows take milliseconds: nothing runs row by row.

    Args:
        rows: `case` from 0 to cases - 1.
        sizes: height and width in pixels of each case's image.
        dropped: reason -> count, added to.
        where: the table, for the message.

    Returns:
        For each case reading id -> fixations; empty where no row is left.

    Raises:
        DataError: most of many fixations are off their images, so the images are not those that were looked at.
    """
    height, width = sizes[rows.case, 0], sizes[rows.case, 1]
    unknown = np.isnan(rows.x_px) | np.isnan(rows.y_px) | np.isnan(rows.duration_s)
    inside = (rows.x_px >= 0) & (rows.x_px < width) & (rows.y_px >= 0) & (rows.y_px < height)
    off = ~unknown & ~inside
    instant = inside & (rows.duration_s <= 0)
    if len(off) >= MIN_FIXATIONS and off.mean() > MAX_OFF_IMAGE:
        raise DataError(
            f"{off.mean():.0%} of the fixations lie off their images",
            where=where,
            expected="positions in pixels of the images as they are",
            hint="use the images in the size in which they were looked at, not resized ones",
        )
    for reason, which in (
        ("fixation without position or duration", unknown),
        ("fixation off the image", off),
        ("fixation of no duration", instant),
    ):
        dropped[reason] += int(which.sum())
    return _grouped(rows.select(~(unknown | off | instant)), len(sizes))


def _grouped(rows: FixationRows, cases: int) -> list[dict[str, Fixations]]:
    names, reading = np.unique(rows.reading_id, return_inverse=True)
    order = np.lexsort((rows.start_s, reading, rows.case))
    rows, reading = rows.select(order), reading[order]
    starts = np.flatnonzero(np.r_[True, (np.diff(rows.case) != 0) | (np.diff(reading) != 0)])
    grouped: list[dict[str, Fixations]] = [{} for _ in range(cases)]
    for at in np.split(np.arange(len(order)), starts[1:]) if len(order) else ():
        grouped[rows.case[at[0]]][str(names[reading[at[0]]])] = Fixations(
            **{field.name: getattr(rows, field.name)[at] for field in fields(Fixations)}
        )
    return grouped


def pixel_centre(pixel: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Whole numbers name pixels, whose centres lie half a pixel further; negative ones mean off the image and stay."""
    return np.where(pixel < 0, pixel, np.floor(pixel) + 0.5)
