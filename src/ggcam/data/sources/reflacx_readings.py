"""The files of one REFLACX reading: fixations under zoom and pan, dictation, ellipses, the box of the chest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from ggcam.data.case import Region
from ggcam.data.sources.dictation import Vocabulary, Word, find_mentions, label_fixations
from ggcam.data.sources.fixation_rows import FixationRows, pixel_centre
from ggcam.data.sources.reflacx_labels import columns_by_class, flags
from ggcam.data.tables import Table, read_table
from ggcam.errors import TableError

__all__ = ["Vocabulary", "gaze", "regions"]

NEAR_DEGREES = 0.5
"""A fixation so near to the part of the image that was shown was meant for it: that is how far the tracker errs."""

_DEGREES = tuple(f"angular_resolution_{axis}_pixels_per_degree" for axis in "xy")
_SHOWN = tuple(f"{edge}_shown_from_image" for edge in ("xmin", "ymin", "xmax", "ymax"))
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def gaze(folder: Path, case: int, dropped: Counter[str], words: Vocabulary | None, window_s: float) -> FixationRows:
    """Fixations of a reading, in pixels of the original image; times are those of the audio.

    Args:
        folder: of the reading; its name is the reading's id.
        case: number that the rows get.
        dropped: reason -> count, added to.
        words: label the fixations by what was dictated, with this vocabulary; not at all if None.
        window_s: see :func:`ggcam.data.sources.dictation.label_fixations`.

    Raises:
        MissingFileError: there is no fixations.csv; or no timestamps_transcription.csv, and it is needed.
        TableError: a table lacks a column, or holds a value that cannot be.
    """
    times = ("timestamp_start_fixation", "timestamp_end_fixation")
    table = read_table(folder / "fixations.csv", [*times, "x_position", "y_position", *_DEGREES, *_SHOWN])
    start_s, end_s, x, y = (table.numbers(name, blank=True) for name in (*times, "x_position", "y_position"))
    degrees = np.stack([table.numbers(name, blank=True) for name in _DEGREES], axis=1)
    for at, name in enumerate(_DEGREES):
        table.refuse(degrees[:, at] <= 0, f"{name} must be above 0", name)
    shown = np.stack([table.numbers(name, blank=True) for name in _SHOWN], axis=1)
    near = _near(np.stack([x, y], axis=1), shown, degrees)
    dropped["fixation off the part of the image that was shown"] += int((~near).sum())
    label = np.full(len(table), "", dtype=np.str_)
    if words is not None:
        label = label_fixations(start_s, end_s, find_mentions(_read_words(folder), words), window_s)
    rows = FixationRows.build(
        case=np.full(len(table), case),
        x_px=pixel_centre(x),
        y_px=pixel_centre(y),
        start_s=start_s,
        duration_s=end_s - start_s,
        px_per_degree=degrees,
        reading_id=folder.name,
        label=label,
    )
    return rows.select(near)


def _near(
    points: Float[np.ndarray, "n 2"], shown: Float[np.ndarray, "n 4"], degrees: Float[np.ndarray, "n 2"]
) -> Bool[np.ndarray, " n"]:
    """Whether each point lies on the shown rectangle or near it; true where either is unknown."""
    slack = NEAR_DEGREES * np.nan_to_num(degrees)
    outside = (points < shown[:, :2] - slack) | (points > shown[:, 2:] + slack)
    return np.logical_not(np.any(outside, axis=1))


def _read_words(folder: Path) -> list[Word]:
    columns = ("word", "timestamp_start_word", "timestamp_end_word")
    table = read_table(folder / "timestamps_transcription.csv", columns)
    times = (table.numbers(name).tolist() for name in columns[1:])
    return [Word(text, start, end) for text, start, end in zip(table["word"].tolist(), *times, strict=True)]


def regions(folders: Sequence[tuple[Path, int]], min_certainty: int, dropped: Counter[str]) -> tuple[Region, ...]:
    """Ellipses of all readings of an image, a region for each of their labels; and the mean of their chest boxes.

    Args:
        folders: of the readings, with their phase. Files that are not there say nothing.
        min_certainty: ellipses below it are left out and counted.
        dropped: reason -> count, added to.

    Raises:
        TableError: a table lacks a column, or holds a value that cannot be.
    """
    found: list[Region] = []
    chests: list[Float[np.ndarray, " 4"]] = []
    for folder, phase in folders:
        if (folder / "anomaly_location_ellipses.csv").is_file():
            found += _ellipses(folder / "anomaly_location_ellipses.csv", phase, min_certainty, dropped)
        if (folder / "chest_bounding_box.csv").is_file():
            chests += list(_corners(read_table(folder / "chest_bounding_box.csv", _CORNERS)))
    if chests:
        x0, y0, x1, y1 = np.mean(chests, axis=0).tolist()
        found.append(Region("chest", "box", x0, y0, x1, y1))
    return tuple(found)


def _ellipses(path: Path, phase: int, min_certainty: int, dropped: Counter[str]) -> list[Region]:
    asked = columns_by_class(phase)
    # An ellipse is never of a whole image's qualities, and some tables leave out labels that nobody drew.
    table = read_table(path, [*_CORNERS, "certainty"], sorted({name for names in asked.values() for name in names}))
    corners, sure = _corners(table), table.numbers("certainty")
    named = {
        name: np.any([flags(table, column) for column in columns if column in table], axis=0)
        for name, columns in asked.items()
        if any(column in table for column in columns)
    }
    low = sure < min_certainty
    nameless = ~np.any(list(named.values()), axis=0) if named else np.ones(len(table), dtype=bool)
    dropped[f"ellipse of a certainty below {min_certainty}"] += int(low.sum())
    dropped["ellipse without a label of the classes"] += int((nameless & ~low).sum())
    return [
        Region(name, "ellipse", *corners[at].tolist())
        for at in np.flatnonzero(~low).tolist()
        for name, of_row in named.items()
        if of_row[at]
    ]


def _corners(table: Table) -> Float[np.ndarray, "n 4"]:
    corners = np.stack([table.numbers(name) for name in _CORNERS], axis=1)
    flat = (corners[:, 2] <= corners[:, 0]) | (corners[:, 3] <= corners[:, 1])
    if flat.any():
        at = int(flat.argmax())
        raise TableError("a region has no area", where=f"{table.path}:{table.row[at]}", got=corners[at].tolist())
    return corners
