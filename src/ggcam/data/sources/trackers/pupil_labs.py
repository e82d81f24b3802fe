"""Pupil Labs: gaze and fixations mapped to a surface, which is the image (`..._on_surface_NAME.csv`)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from ggcam.data.sources.trackers.recording import ReadOptions, Recording
from ggcam.data.sources.trackers.rows import Rows, own_name, read_rows
from ggcam.data.tables import column_names

USES: frozenset[str] = frozenset()
"""Options of :class:`ReadOptions` that this format has a use for: times are in seconds, durations in milliseconds."""

MIN_CONFIDENCE = 0.6
"""Less certain samples count as lost, as in Pupil Player."""

_RELATIVE: dict[str, Any] = {"units": "fraction", "units_from_file": True, "origin": "bottom-left"}


def recognises(names: list[str]) -> bool:
    """Return whether a table with columns of these names is a surface table of Pupil Labs."""
    fixations = {"fixation_id", "start_timestamp", "duration", "norm_pos_x", "norm_pos_y", "on_surf"}
    return fixations <= set(names) or {"gaze_timestamp", "x_norm", "y_norm", "on_surf"} <= set(names)


def read(path: Path, options: ReadOptions) -> list[Recording]:
    """Read one table. Positions are fractions of the surface from its bottom left corner, which may lie off it.

    A fixation has a row per video frame; it lies at the mean of those on the surface. The image is named by a column
    `image`, or by the surface: the end of the file's name.

    Args:
        path: the file.
        options: how to read it.

    Returns:
        One recording per image.

    Raises:
        TableError: the table has an invalid value.
    """
    names = column_names(path)
    fixations = "fixation_id" in names
    if fixations:
        numbers = {"time_s": "start_timestamp", "duration_s": "duration", "x": "norm_pos_x", "y": "norm_pos_y"}
        numbers["fixation"] = "fixation_id"
    else:
        numbers = {"time_s": "gaze_timestamp", "x": "x_norm", "y": "y_norm"}
        numbers |= {"confidence": "confidence"} if "confidence" in names else {}
    rows = read_rows(path, numbers, {"image": "image", "on_surface": "on_surf"}, options.max_bytes)
    on_surface = rows.equals("on_surface", "True", "true", "TRUE", "1", "1.0")
    if fixations:
        rows = _one_row_per_fixation(rows.select(on_surface))
    else:
        lost = ~on_surface | (rows.numbers.get("confidence", np.ones(len(rows))) < MIN_CONFIDENCE)
        for axis in ("x", "y"):
            rows.numbers[axis] = np.where(lost, np.nan, rows.numbers[axis])
    if "image" not in rows.codes:
        surface = re.sub(r"^(fixations|gaze_positions|gaze)_on_surface_", "", own_name(path))
        rows.codes["image"], rows.texts["image"] = np.zeros(len(rows), dtype=np.int32), [surface]
    return list(rows.recordings(["image"], **_RELATIVE))


def _one_row_per_fixation(rows: Rows) -> Rows:
    image = rows.codes.get("image", np.zeros(len(rows), dtype=np.int32))
    keys = np.stack([image, rows.numbers["fixation"], rows.numbers["time_s"]], axis=1)
    _, first, index = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    counts = np.bincount(index.reshape(-1), minlength=len(first))
    found = rows.select(first)
    for axis in ("x", "y"):
        found.numbers[axis] = np.bincount(index.reshape(-1), rows.numbers[axis], len(first)) / counts
    found.numbers["duration_s"] = found.numbers["duration_s"] / 1000
    return found
