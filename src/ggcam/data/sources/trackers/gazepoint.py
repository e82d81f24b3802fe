"""Gazepoint Analysis: tables of all samples, and tables of fixations (`..._fixations.csv`)."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from ggcam.data.sources.trackers.recording import ReadOptions, Recording
from ggcam.data.sources.trackers.rows import Rows, own_name, read_rows
from ggcam.data.tables import column_names, read_blocks

USES: frozenset[str] = frozenset()
"""Options of :class:`ReadOptions` that this format has a use for: times are in seconds."""

_TIME = re.compile(r"TIME(\(.*\))?|Time \(in secs\)")


def recognises(names: list[str]) -> bool:
    """Return whether a table with columns of these names is a table of Gazepoint."""
    return "BPOGX" in names or {"FPOGX", "FPOGS", "FPOGD"} <= set(names)


def read(path: Path, options: ReadOptions) -> list[Recording]:
    """Read one table. Positions are fractions of the screen; MEDIA_NAME is the image.

    Samples are the best point of gaze where BPOGV is 1. Fixations are FPOGX, FPOGY with start FPOGS and duration FPOGD;
    a table with one row per fixation has no samples. A table of samples has a row per fixation, too: its last one.

    Args:
        path: the file.
        options: how to read it.

    Returns:
        One recording per image.

    Raises:
        TableError: the table lacks a column or has an invalid value.
    """
    names = column_names(path)
    if "FPOGD" in names and (options.prefer == "fixations" or "BPOGX" not in names or _is_table_of_fixations(path)):
        return _read_fixations(path, options)
    time = next((name for name in names if _TIME.fullmatch(name)), "TIME")
    numbers = {"time_s": time, "x": "BPOGX", "y": "BPOGY", "valid": "BPOGV"}
    rows = read_rows(path, numbers, {"image": "MEDIA_NAME"}, options.max_bytes)
    lost = rows.numbers["valid"] != 1
    for axis in ("x", "y"):
        rows.numbers[axis] = np.where(lost, np.nan, rows.numbers[axis])
    return _recordings(rows)


def _is_table_of_fixations(path: Path) -> bool:
    """Whether each row is a fixation of its own: by the file's name, or because no fixation has a second row."""
    if re.search(r"fixations?$", own_name(path), re.IGNORECASE):
        return True
    table = next(read_blocks(path, ["FPOGD"], ["FPOGID", "MEDIA_NAME"]))
    return "FPOGID" in table and len(table) > 1 and not table.repeats(*(set(table.columns) - {"FPOGD"})).any()


def _read_fixations(path: Path, options: ReadOptions) -> list[Recording]:
    numbers = {"time_s": "FPOGS", "x": "FPOGX", "y": "FPOGY", "duration_s": "FPOGD"}
    numbers |= {name.lower(): name for name in ("FPOGV", "FPOGID") if name in column_names(path)}
    rows = read_rows(path, numbers, {"image": "MEDIA_NAME"}, options.max_bytes)
    has_samples = "fpogid" in numbers and not _is_table_of_fixations(path)
    if has_samples:
        # Of the rows of one fixation the last valid one has its whole duration.
        rows = rows.select(rows.numbers["fpogv"] == 1) if "fpogv" in numbers else rows
        image = rows.codes.get("image", np.zeros(len(rows), dtype=np.int32))
        keys = np.stack([image, rows.numbers["fpogid"]], axis=1)[::-1]
        _, from_end = np.unique(keys, axis=0, return_index=True)
        rows = rows.select(np.sort(len(rows) - 1 - from_end))
    elif "fpogv" in numbers:
        lost = rows.numbers["fpogv"] != 1
        for axis in ("x", "y"):
            rows.numbers[axis] = np.where(lost, np.nan, rows.numbers[axis])
    return _recordings(rows, has_samples)


def _recordings(rows: Rows, has_both: bool = False) -> list[Recording]:
    """Group rows by image. The reader is the user, whose name comes before `_all_gaze` or `_fixations`."""
    user = re.sub(r"(^|[_ -]+)(all[_ ]?gaze|fixations?)$", "", own_name(rows.path), flags=re.IGNORECASE)
    by = [name for name in ("image",) if name in rows.codes]
    fixations = "duration_s" in rows.numbers
    found = rows.recordings(
        by, units="screen_fraction", units_from_file=True, onset_s=0.0 if fixations else None, has_both=has_both
    )
    return [replace(each, reader=user if user and user != each.image else "1") for each in found]
