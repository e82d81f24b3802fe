"""Rows of a gaze table, cleaned and grouped into the readings of each case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numpy.typing import ArrayLike, DTypeLike

from ggcam.data.case import OFF_IMAGE
from ggcam.errors import DataError
from ggcam.gaze.fixations import Fixations, inside_image

MIN_FIXATIONS, MAX_OFF_IMAGE = 20, 0.5
"""If more than this fraction of at least this many fixations lies off the image, the data are wrong, not the reader."""

Column = Float[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class FixationRows:
    """Fixations of many cases and readings, in any order.

    Attributes:
        case: shape (n,), index of the case.
        reading_id: shape (n,), which of the case's readings.
        x_px: shape (n,), to the right, in continuous pixels of the image; NaN where unknown.
        y_px: shape (n,), downwards; NaN where unknown.
        start_s: shape (n,), seconds; NaN where unknown.
        duration_s: shape (n,), seconds; NaN where unknown.
        px_per_degree_x: shape (n,), image pixels per degree of visual angle; NaN where unknown.
        px_per_degree_y: shape (n,), the same along y.
        label: shape (n,), class or finding that a fixation belongs to; "" where unknown.
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
        """Make rows from columns; a single number or text is repeated for every row.

        Args:
            case: index of the case.
            x_px: positions to the right.
            y_px: positions downwards.
            start_s: start times.
            duration_s: durations.
            px_per_degree: image pixels per degree of visual angle along x and y.
            reading_id: which of the case's readings.
            label: class or finding.

        Returns:
            The rows, in the given order.
        """
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
        """Return the fixations of one reading as rows.

        Args:
            case: index of the case.
            reading_id: which of the case's readings.
            fixations: the fixations.

        Returns:
            One row per fixation.
        """
        columns = {field.name: getattr(fixations, field.name) for field in fields(Fixations)}
        cases, reading_ids = np.full(len(fixations), case), np.full(len(fixations), reading_id)
        return cls(case=cases, reading_id=reading_ids, **columns)

    @classmethod
    def concatenate(cls, parts: Sequence[FixationRows]) -> FixationRows:
        """Join the rows of several tables.

        Args:
            parts: the tables.

        Returns:
            Their rows in order; no rows for no tables.
        """
        parts = parts or [cls.build(np.empty(0, dtype=np.int64), np.empty(0), np.empty(0))]
        return cls(
            **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)}
        )

    def select(self, keep: Bool[np.ndarray, " n"] | Int[np.ndarray, " kept"]) -> FixationRows:
        """Select rows.

        Args:
            keep: a mask, or the indices of the rows.

        Returns:
            The rows where the mask is true, or those with the indices, in that order.
        """
        return FixationRows(**{field.name: getattr(self, field.name)[keep] for field in fields(self)})


def group_readings(
    rows: FixationRows, sizes: Int[np.ndarray, "cases 2"], dropped: Counter[str], where: Path
) -> list[dict[str, Fixations]]:
    """Group fixations by case and reading, in order of time, and leave out the unusable ones.

    A fixation is left out, and counted under the first reason that applies, if its position or duration is unknown
    (NaN), it lies off the image, or its duration is 0 or negative. The work is vectorised: thousands of rows take
    milliseconds.

    Args:
        rows: fixations with `case` from 0 to cases - 1.
        sizes: height and width of each case's image in pixels.
        dropped: reason -> count; updated.
        where: the table, for messages.

    Returns:
        For each case, reading id -> fixations; empty for a case without usable fixations.

    Raises:
        DataError: most of many fixations lie off their images, so the images are not those that the reader saw.
    """
    height, width = sizes[rows.case, 0], sizes[rows.case, 1]
    unknown = np.isnan(rows.x_px) | np.isnan(rows.y_px) | np.isnan(rows.duration_s)
    inside = inside_image(rows.x_px, rows.y_px, height, width)
    off = ~unknown & ~inside
    no_duration = ~unknown & inside & (rows.duration_s <= 0)
    if len(off) >= MIN_FIXATIONS and off.mean() > MAX_OFF_IMAGE:
        raise DataError(
            f"{off.mean():.0%} of the fixations lie off their images",
            where=where,
            expected="positions in pixels of the images in their present size",
            hint="use the images in the size in which they were viewed, not resized ones",
        )
    for reason, affected in (
        ("fixation without position or duration", unknown),
        (OFF_IMAGE, off),
        ("fixation of duration 0 or less", no_duration),
    ):
        dropped[reason] += int(affected.sum())
    return _group(rows.select(~(unknown | off | no_duration)), len(sizes))


def _group(rows: FixationRows, n_cases: int) -> list[dict[str, Fixations]]:
    reading_ids, reading = np.unique(rows.reading_id, return_inverse=True)
    order = np.lexsort((rows.start_s, reading, rows.case))
    rows, reading = rows.select(order), reading[order]
    starts = np.flatnonzero(np.r_[True, (np.diff(rows.case) != 0) | (np.diff(reading) != 0)])
    grouped: list[dict[str, Fixations]] = [{} for _ in range(n_cases)]
    for at in np.split(np.arange(len(order)), starts[1:]) if len(order) else ():
        grouped[rows.case[at[0]]][str(reading_ids[reading[at[0]]])] = Fixations(
            **{field.name: getattr(rows, field.name)[at] for field in fields(Fixations)}
        )
    return grouped


def count_without_gaze(readings: Sequence[Mapping[str, Fixations]], dropped: Counter[str]) -> None:
    """Count the cases without readings, which are kept.

    Args:
        readings: readings of each case.
        dropped: reason -> count; updated.
    """
    dropped["case without gaze (kept)"] += sum(not of_case for of_case in readings)


def pixel_centre(pixel: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return the centres of pixels given by their indices.

    Args:
        pixel: indices along one axis; NaN where unknown.

    Returns:
        Index + 0.5; a negative index, which means off the image, unchanged.
    """
    return np.where(pixel < 0, pixel, np.floor(pixel) + 0.5)
