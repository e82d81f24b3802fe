"""A table of samples with the columns t, x, y, and optionally image, reader."""

from __future__ import annotations

from pathlib import Path

from ggcam.data.sources.time_units import SECONDS_PER_UNIT, unit_by_rate, unit_in_name
from ggcam.data.sources.trackers.recording import ReadOptions, Recording
from ggcam.data.sources.trackers.rows import read_rows

USES = frozenset({"columns", "time_unit"})
"""Options of :class:`ReadOptions` that this format has a use for."""

SAMPLE_COLUMNS = ("t", "x", "y", "image", "reader")
"""Columns of a generic table of samples; the first three are required."""


def read(path: Path, options: ReadOptions) -> list[Recording]:
    """Read one table.

    Args:
        path: the file.
        options: how to read it.

    Returns:
        One recording per image and reader.

    Raises:
        TableError: the table lacks a column or has an invalid value.
    """
    columns = {name: options.columns.get(name, name) for name in SAMPLE_COLUMNS}
    texts = {name: columns[name] for name in ("image", "reader")}
    rows = read_rows(path, {"time_s": columns["t"], "x": columns["x"], "y": columns["y"]}, texts, options.max_bytes)
    time = rows.numbers["time_s"]
    unit = options.time_unit or unit_in_name(columns["t"]) or unit_by_rate(time, "s")
    rows.numbers["time_s"] = time * SECONDS_PER_UNIT[unit]
    return list(rows.recordings([name for name in texts if name in rows.codes]))
