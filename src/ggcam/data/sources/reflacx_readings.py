"""The files of one REFLACX reading: fixations under zoom and pan, dictation, ellipses, chest box."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from ggcam.data.case import Region
from ggcam.data.sources.dictation import Vocabulary, Word, find_mentions, label_fixations
from ggcam.data.sources.fixation_rows import FixationRows, pixel_centre
from ggcam.data.sources.reflacx_labels import columns_by_class, read_booleans
from ggcam.data.tables import Table, read_table
from ggcam.errors import TableError
from ggcam.gaze.mentions import Mention

TOLERANCE_DEG = 0.5
"""A fixation this close to the displayed part of the image counts as on it: the error of the eye tracker."""

MAX_TIME_S = 1e6
"""No reading takes as long; a larger time has another unit."""

_PX_PER_DEGREE = tuple(f"angular_resolution_{axis}_pixels_per_degree" for axis in "xy")
_DISPLAYED = tuple(f"{edge}_shown_from_image" for edge in ("xmin", "ymin", "xmax", "ymax"))
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read_mentions(
    folder: Path, dropped: Counter[str], vocabulary: Vocabulary, required: bool = False
) -> tuple[Mention, ...]:
    """Read the findings that a reader names in the dictation; times are relative to the audio.

    Args:
        folder: folder of the reading.
        dropped: reason -> count; updated where there is no dictation, or a mention has no time.
        vocabulary: phrases that name each finding.
        required: refuse a reading without timestamps_transcription.csv.

    Returns:
        The mentions in order of time; none without a dictation.

    Raises:
        MissingFileError: there is no dictation, and it is required.
        TableError: the table lacks a column, or has an invalid value.
    """
    path = folder / "timestamps_transcription.csv"
    if not required and not path.is_file():
        dropped["reading without dictation (kept)"] += 1
        return ()
    mentions = find_mentions(_read_words(path), vocabulary)
    timed = tuple(mention for mention in mentions if np.isfinite([mention.start_s, mention.end_s]).all())
    dropped["mention of a finding without a time"] += len(mentions) - len(timed)
    return timed


def read_fixations(
    folder: Path, case: int, dropped: Counter[str], mentions: Sequence[Mention] = (), window_s: float | None = None
) -> FixationRows:
    """Read the fixations of a reading, in pixels of the original image; times are relative to the audio.

    Args:
        folder: folder of the reading; its name is the reading's id.
        case: index of the case that the rows belong to.
        dropped: reason -> count; updated.
        mentions: findings that the reader names.
        window_s: label the fixations with these findings, see :func:`ggcam.data.sources.dictation.label_fixations`;
            None leaves them unlabelled.

    Returns:
        The fixations on or near the displayed part of the image.

    Raises:
        MissingFileError: there is no fixations.csv.
        TableError: a table lacks a column, or has an invalid value.
    """
    times = ("timestamp_start_fixation", "timestamp_end_fixation")
    table = read_table(folder / "fixations.csv", [*times, "x_position", "y_position", *_PX_PER_DEGREE, *_DISPLAYED])
    start_s, end_s, x, y = (table.numbers(name, allow_blank=True) for name in (*times, "x_position", "y_position"))
    px_per_degree = np.stack([table.numbers(name, allow_blank=True) for name in _PX_PER_DEGREE], axis=1)
    for axis, name in enumerate(_PX_PER_DEGREE):
        table.refuse(px_per_degree[:, axis] <= 0, f"{name} must be above 0", name)
    displayed = np.stack([table.numbers(name, allow_blank=True) for name in _DISPLAYED], axis=1)
    near = _near(np.stack([x, y], axis=1), displayed, px_per_degree)
    dropped["fixation off the displayed part of the image"] += int((~near).sum())
    label = np.full(len(table), "", dtype=np.str_)
    if window_s is not None:
        label = label_fixations(start_s, end_s, mentions, window_s)
    rows = FixationRows.build(
        case=np.full(len(table), case),
        x_px=pixel_centre(x),
        y_px=pixel_centre(y),
        start_s=start_s,
        duration_s=end_s - start_s,
        px_per_degree=px_per_degree,
        reading_id=folder.name,
        label=label,
    )
    return rows.select(near)


def _near(
    points: Float[np.ndarray, "n 2"], displayed: Float[np.ndarray, "n 4"], px_per_degree: Float[np.ndarray, "n 2"]
) -> Bool[np.ndarray, " n"]:
    """Whether each point lies on the displayed rectangle or near it; true where either is unknown."""
    tolerance_px = TOLERANCE_DEG * np.nan_to_num(px_per_degree)
    outside = (points < displayed[:, :2] - tolerance_px) | (points > displayed[:, 2:] + tolerance_px)
    return np.logical_not(np.any(outside, axis=1))


def _read_words(path: Path) -> list[Word]:
    columns = ("word", "timestamp_start_word", "timestamp_end_word")
    table = read_table(path, columns)
    times = [table.numbers(name, allow_blank=True) for name in columns[1:]]
    for name, values in zip(columns[1:], times, strict=True):
        table.refuse(np.abs(values) > MAX_TIME_S, f"{name} is not a time of a reading", name, f"up to {MAX_TIME_S:g} s")
    return [
        Word(text, start, end)
        for text, start, end in zip(table["word"].tolist(), *(values.tolist() for values in times), strict=True)
    ]


def read_regions(readings: Sequence[tuple[Path, int]], min_certainty: int, dropped: Counter[str]) -> tuple[Region, ...]:
    """Read the ellipses of all readings of an image, and the mean of their chest boxes.

    Args:
        readings: folder and phase of each reading. Files that do not exist are skipped.
        min_certainty: ellipses with a lower certainty are left out and counted.
        dropped: reason -> count; updated.

    Returns:
        One region per ellipse and label, then the chest box.

    Raises:
        TableError: a table lacks a column, or has an invalid value.
    """
    regions: list[Region] = []
    chests: list[Float[np.ndarray, " 4"]] = []
    for folder, phase in readings:
        if (folder / "anomaly_location_ellipses.csv").is_file():
            regions += _read_ellipses(folder / "anomaly_location_ellipses.csv", phase, min_certainty, dropped)
        if (folder / "chest_bounding_box.csv").is_file():
            chests += list(_corners(read_table(folder / "chest_bounding_box.csv", _CORNERS)))
    if chests:
        x0, y0, x1, y1 = np.mean(chests, axis=0).tolist()
        regions.append(Region("chest", "box", x0, y0, x1, y1))
    return tuple(regions)


def _read_ellipses(path: Path, phase: int, min_certainty: int, dropped: Counter[str]) -> list[Region]:
    columns = columns_by_class(phase)
    # The columns are optional: no ellipse marks a property of the whole image, and some tables omit unused labels.
    table = read_table(path, [*_CORNERS, "certainty"], sorted({name for names in columns.values() for name in names}))
    corners, certainty = _corners(table), table.numbers("certainty")
    has_label = {
        name: np.any([read_booleans(table, column) for column in names if column in table], axis=0)
        for name, names in columns.items()
        if any(column in table for column in names)
    }
    uncertain = certainty < min_certainty
    unlabelled = ~np.any(list(has_label.values()), axis=0) if has_label else np.ones(len(table), dtype=bool)
    dropped[f"ellipse with a certainty below {min_certainty}"] += int(uncertain.sum())
    dropped["ellipse without a label that is a class"] += int((unlabelled & ~uncertain).sum())
    return [
        Region(name, "ellipse", *corners[row].tolist())
        for row in np.flatnonzero(~uncertain).tolist()
        for name, labelled in has_label.items()
        if labelled[row]
    ]


def _corners(table: Table) -> Float[np.ndarray, "n 4"]:
    corners = np.stack([table.numbers(name) for name in _CORNERS], axis=1)
    empty = (corners[:, 2] <= corners[:, 0]) | (corners[:, 3] <= corners[:, 1])
    if empty.any():
        row = int(empty.argmax())
        raise TableError("a region has no area", where=f"{table.path}:{table.row[row]}", got=corners[row].tolist())
    return corners
