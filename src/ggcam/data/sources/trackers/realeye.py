"""RealEye: a table of fixations in percent of the image."""

from __future__ import annotations

from pathlib import Path

from ggcam.data.sources.trackers.recording import ReadOptions, Recording
from ggcam.data.sources.trackers.rows import read_rows

USES: frozenset[str] = frozenset()
"""Options of :class:`ReadOptions` that this format has a use for: the columns' names have the units of time."""

_NUMBERS = {
    "time_s": "fixation_starts_at_ms",
    "duration_s": "fixation_duration_ms",
    "x": "fixation_point_x",
    "y": "fixation_point_y",
}


def recognises(names: list[str]) -> bool:
    """Return whether a table with columns of these names is a table of fixations of RealEye."""
    return {"item_filename", *_NUMBERS.values()} <= set(names)


def read(path: Path, options: ReadOptions) -> list[Recording]:
    """Read one table.

    Args:
        path: the file.
        options: how to read it.

    Returns:
        One recording per image and participant.

    Raises:
        TableError: the table has an invalid value.
    """
    texts = {"image": "item_filename", "reader": "participant_display_name"}
    rows = read_rows(path, _NUMBERS, texts, options.max_bytes)
    for name in ("time_s", "duration_s"):
        rows.numbers[name] = rows.numbers[name] / 1000
    by = [name for name in texts if name in rows.codes]
    return list(rows.recordings(by, units="percent", units_from_file=True, origin="top-left", onset_s=0.0))
