"""Raw recordings of eye trackers as samples over time: EyeLink, Gazepoint, Tobii, or a generic table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from jaxtyping import Float, Shaped

from ggcam.data.sources.coordinates import Units
from ggcam.data.sources.fixation_table import SECONDS_PER_UNIT, TimeUnit
from ggcam.data.tables import Table, column_names, read_table
from ggcam.errors import DataError, MissingFileError, TableError, join_limited

Tracker = Literal["auto", "eyelink", "gazepoint", "tobii", "generic"]

SUFFIXES = (".asc", ".csv", ".tsv", ".gz", ".parquet")
SAMPLE_COLUMNS = ("t", "x", "y", "image", "reader")
"""Columns of a generic table of samples; the first three are required."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Samples of one reader on one image.

    Attributes:
        path: the file.
        image: name of the image in the file; the file's own name without suffix if it names none.
        reader: name of the reader in the file; "1" if it names none.
        time_s: shape (n,), ascending.
        x: shape (n,), to the right, in `units`; NaN where the tracker lost the eye.
        y: shape (n,), downwards, in `units`; NaN where the tracker lost the eye.
        units: units of the positions; None if the file does not tell.
        screen_px: width and height of the screen; None if the file does not tell.
    """

    path: Path
    image: str
    reader: str
    time_s: Float[np.ndarray, " n"]
    x: Float[np.ndarray, " n"]
    y: Float[np.ndarray, " n"]
    units: Units | None = None
    screen_px: tuple[int, int] | None = None


def read_recordings(path: Path, tracker: Tracker, columns: Mapping[str, str], time_unit: TimeUnit) -> list[Recording]:
    """Read one recording, or all recordings in a folder at any depth.

    Args:
        path: the file or the folder.
        tracker: eye tracker that made them; "auto" recognises it from the suffix (.asc) and the columns.
        columns: column names of a generic table: name among `SAMPLE_COLUMNS` -> name in the file.
        time_unit: time unit of a generic table.

    Returns:
        One recording per image and reader.

    Raises:
        MissingFileError: the file does not exist, or the folder has no recordings.
        TableError: a file lacks a column, or has an invalid value.
        DataError: an EyeLink file has no samples.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and not file.name.startswith("."))
    else:
        files = [path]
    if not files or not files[0].is_file():
        raise MissingFileError(
            "there is no recording", where=path, expected=f"files ending in {join_limited(SUFFIXES)}"
        )
    recordings: list[Recording] = []
    for file in files:
        made_by = _recognise_tracker(file) if tracker == "auto" else tracker
        if made_by == "eyelink":
            recordings += _read_eyelink(file)
        elif made_by == "gazepoint":
            recordings += _read_gazepoint(file)
        elif made_by == "tobii":
            recordings += _read_tobii(file)
        else:
            recordings += _read_generic(file, columns, time_unit)
    return recordings


def _recognise_tracker(path: Path) -> Tracker:
    if path.suffix == ".asc":
        return "eyelink"
    names = column_names(path)
    if "BPOGX" in names:
        return "gazepoint"
    return "tobii" if _find_column(names, "gazepointx") else "generic"


def _split_by_image_and_reader(
    path: Path,
    image: Shaped[np.ndarray, " n"],
    reader: Shaped[np.ndarray, " n"],
    samples: tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"], Float[np.ndarray, " n"]],
    units: Units | None,
) -> Iterator[Recording]:
    """One recording per image and reader, in the order of their first samples; each sorted by time."""
    stem = path.name.split(".")[0]
    images, readers = np.where(image == "", stem, image), np.where(reader == "", "1", reader)
    keys = list(zip(images.tolist(), readers.tolist(), strict=True))
    index_of = {key: index for index, key in enumerate(dict.fromkeys(keys))}
    index = np.array([index_of[key] for key in keys], dtype=np.int64)
    for (image_name, reader_name), which in index_of.items():
        rows = np.flatnonzero(index == which)
        rows = rows[np.argsort(samples[0][rows], kind="stable")]
        time_s, x, y = (column[rows] for column in samples)
        yield Recording(path, image_name, reader_name, time_s, x, y, units)


def _text(table: Table, column: str | None) -> Shaped[np.ndarray, " n"]:
    """Return a column, or empty text if the table does not have it."""
    return table[column] if column is not None and column in table else np.full(len(table), "")


# --- a generic table


def _read_generic(path: Path, columns: Mapping[str, str], time_unit: TimeUnit) -> Iterator[Recording]:
    required, optional = SAMPLE_COLUMNS[:3], SAMPLE_COLUMNS[3:]
    table = read_table(path, [columns[name] for name in required], [columns[name] for name in optional])
    image, reader = (_text(table, columns[name]) for name in optional)
    t = table.numbers(columns["t"]) * SECONDS_PER_UNIT[time_unit]
    x, y = (table.numbers(columns[name], allow_blank=True) for name in ("x", "y"))
    return _split_by_image_and_reader(path, image, reader, (t, x, y), None)


# --- Gazepoint


def _read_gazepoint(path: Path) -> Iterator[Recording]:
    """Gazepoint Analysis: best point of gaze in fractions of the screen, valid if BPOGV is 1, on image MEDIA_NAME."""
    time = next((name for name in column_names(path) if re.fullmatch(r"TIME(\(.*\))?|Time \(in secs\)", name)), "TIME")
    table = read_table(path, [time, "BPOGX", "BPOGY", "BPOGV"], ["MEDIA_NAME"])
    valid = table.numbers("BPOGV", allow_blank=True) == 1
    x, y = (np.where(valid, table.numbers(name, allow_blank=True), np.nan) for name in ("BPOGX", "BPOGY"))
    image, reader = _text(table, "MEDIA_NAME"), np.full(len(table), "")
    return _split_by_image_and_reader(path, image, reader, (table.numbers(time), x, y), "screen_fraction")


# --- Tobii


def _read_tobii(path: Path) -> Iterator[Recording]:
    """Tobii Pro Lab and Studio: gaze point in pixels of the screen, blank if lost or if the row is not a sample."""
    names = column_names(path)
    time, x, y = (_require_column(path, names, prefix) for prefix in ("recordingtimestamp", "gazepointx", "gazepointy"))
    image_prefixes = ("presentedmedianame", "presentedstimulusname", "medianame")
    image = next(filter(None, (_find_column(names, prefix) for prefix in image_prefixes)), None)
    reader, sensor = _find_column(names, "participantname"), _find_column(names, "sensor")
    table = read_table(path, [time, x, y], [name for name in (image, reader, sensor) if name])
    keep = np.ones(len(table), dtype=bool)
    if sensor:  # rows of events have another sensor or none; Studio does not have this column
        keep &= table[sensor] == "Eye Tracker"
    if image:  # blank between two images, when none is shown
        keep &= table[image] != ""
    table = table.select(keep)
    microseconds = re.search(r"\[(u|\u00b5|\u03bc)s\]", time) is not None
    time_s = table.numbers(time) * SECONDS_PER_UNIT["us" if microseconds else "ms"]
    samples = time_s, _decimal(table, x), _decimal(table, y)
    return _split_by_image_and_reader(path, _text(table, image), _text(table, reader), samples, "screen_px")


def _find_column(names: list[str], prefix: str) -> str | None:
    """Return the first name whose letters, in lower case, start with the prefix; its units are ignored."""
    return next((name for name in names if re.sub(r"[^a-z]", "", name.lower()).startswith(prefix)), None)


def _require_column(path: Path, names: list[str], prefix: str) -> str:
    found = _find_column(names, prefix)
    if found is None:
        raise TableError(f"the table has no column like {prefix}", where=path, got=join_limited(names, 12))
    return found


def _decimal(table: Table, column: str) -> Float[np.ndarray, " n"]:
    """Numbers with a decimal point, or with a decimal comma as on many European systems."""
    text = np.char.replace(table[column], ",", ".")
    return Table(table.path, {column: text}, table.row).numbers(column, allow_blank=True)


# --- EyeLink

_SAMPLE = re.compile(r"\d+(\.\d+)?\s")
_SCREEN = re.compile(r"(?:DISPLAY_COORDS|GAZE_COORDS|SCREEN_COORDS)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)")
_IMAGE = re.compile(r"!V IMGLOAD\s+(?:CENTER|FILL|TOP_LEFT)\s+(\S+)")


def _read_eyelink(path: Path) -> list[Recording]:
    """EyeLink .asc (edf2asc): samples in pixels of the screen; "." is lost; the mean of both eyes if both are tracked.

    An image starts with `MSG <time> !V IMGLOAD CENTER <file> ...`, as Experiment Builder and Data Viewer write it.
    Samples before the first image are ignored; without such messages, all belong to the image with the file's name.
    """
    screen: tuple[int, int] | None = None
    parts: list[tuple[str, list[tuple[float, float, float]]]] = [("", [])]
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if _SAMPLE.match(line):
            parts[-1][1].append(_parse_sample(line, f"{path}:{number}"))
        elif found := _IMAGE.search(line):
            parts.append((PurePosixPath(found[1].replace("\\", "/")).name, []))
        elif found := _SCREEN.search(line):
            left, top, right, bottom = map(float, found.groups())
            screen = round(right - left) + 1, round(bottom - top) + 1
    if not any(samples for _, samples in parts):
        raise DataError("the file has no samples", where=path, expected="an .asc file written by edf2asc")
    times = [sample[0] for _, samples in parts for sample in samples]
    if (np.diff(times) < 0).any():
        raise TableError("the samples are not in order of time", where=path)
    named = [part for part in parts if part[0]] or [(path.stem, parts[0][1])]
    return [
        Recording(path, image, "1", *np.array(samples, dtype=np.float64).T, units="screen_px", screen_px=screen)
        for image, samples in named
        if samples
    ]


def _parse_sample(line: str, where: str) -> tuple[float, float, float]:
    """Time in seconds, x and y."""
    words = line.split()
    used = words[: 7 if _is_binocular(words) else 3]
    numbers = [np.nan if word == "." else _parse_number(word, where) for word in used]
    if len(numbers) < 3:
        raise TableError("a sample has fewer than three values", where=where, got=repr(line))
    eyes = [numbers[1:3], numbers[4:6]] if len(numbers) == 7 else [numbers[1:3]]
    tracked = [eye for eye in eyes if not np.isnan(eye).any()]
    x, y = np.mean(tracked, axis=0) if tracked else (np.nan, np.nan)
    return numbers[0] / 1000, float(x), float(y)


def _is_binocular(words: list[str]) -> bool:
    """Whether a line has the time and three values per eye; flags such as "..." may follow."""
    return len([word for word in words if not re.fullmatch(r"[.A-Z]{2,}", word)]) >= 7


def _parse_number(word: str, where: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise TableError("a sample has a value that is not a number", where=where, got=repr(word)) from None
