"""Raw recordings of eye trackers -> samples in time, lost ones as NaN: EyeLink, Gazepoint, Tobii, or a plain table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from jaxtyping import Float, Shaped

from ggcam.data.sources.fixation_table import SECONDS, TimeUnit
from ggcam.data.sources.coordinates import Units
from ggcam.data.tables import Table, column_names, read_table
from ggcam.errors import DataError, MissingFileError, TableError, join_limited

Tracker = Literal["auto", "eyelink", "gazepoint", "tobii", "generic"]

SUFFIXES = (".asc", ".csv", ".tsv", ".gz", ".parquet")
COLUMNS = ("t", "x", "y", "image", "reader")
"""What a plain table of samples may say; t, x and y it must."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Samples of one reader on one image.

    Attributes:
        path: the file.
        image: as the file names it; the file's own name without the ending where it does not.
        reader: the same for the reader; "1" where nobody says.
        time_s: shape (n,), ascending.
        x, y: shape (n,), to the right and downwards, in `units`; NaN where the eye was lost.
        units: of the positions; None where the user has to say.
        screen_px: width and height of the screen, where the file says.
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
    """Read one file, or all files of a folder.

    Args:
        path: the file or the folder.
        tracker: what made them; "auto" tells by the ending (.asc) and the columns.
        columns: of a plain table: name among `COLUMNS` -> name in the file.
        time_unit: of a plain table.

    Raises:
        MissingFileError: there is no such file, or no recording in the folder.
        TableError, DataError: a file is not what its recorder writes.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and not file.name.startswith("."))
    else:
        files = [path]
    if not files or not files[0].is_file():
        raise MissingFileError(
            "there is no recording", where=path, expected=f"files ending in {join_limited(SUFFIXES)}"
        )
    found = []
    for file in files:
        made_by = _recorder(file) if tracker == "auto" else tracker
        if made_by == "eyelink":
            found += _read_eyelink(file)
        elif made_by == "gazepoint":
            found += _read_gazepoint(file)
        elif made_by == "tobii":
            found += _read_tobii(file)
        else:
            found += _read_plain(file, columns, time_unit)
    return found


def _recorder(path: Path) -> Tracker:
    if path.suffix == ".asc":
        return "eyelink"
    names = column_names(path)
    if "BPOGX" in names:
        return "gazepoint"
    return "tobii" if _like(names, "gazepointx") else "generic"


def _parted(
    path: Path,
    image: Shaped[np.ndarray, " n"],
    reader: Shaped[np.ndarray, " n"],
    samples: tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"], Float[np.ndarray, " n"]],
    units: Units | None,
) -> Iterator[Recording]:
    """A recording for each image and reader, in the order of their first sample; sorted by time."""
    stem = path.name.split(".")[0]
    images, readers = np.where(image == "", stem, image), np.where(reader == "", "1", reader)
    keys = list(zip(images.tolist(), readers.tolist(), strict=True))
    number = {key: at for at, key in enumerate(dict.fromkeys(keys))}
    which = np.array([number[key] for key in keys], dtype=np.int64)
    for (name, who), at in number.items():
        rows = np.flatnonzero(which == at)
        rows = rows[np.argsort(samples[0][rows], kind="stable")]
        time_s, x, y = (column[rows] for column in samples)
        yield Recording(path, name, who, time_s, x, y, units)


# --- a plain table


def _read_plain(path: Path, columns: Mapping[str, str], time_unit: TimeUnit) -> Iterator[Recording]:
    table = read_table(path, [columns[name] for name in COLUMNS[:3]], [columns[name] for name in COLUMNS[3:]])
    image, reader = (_words(table, columns[name]) for name in ("image", "reader"))
    t = table.numbers(columns["t"]) * SECONDS[time_unit]
    x, y = (table.numbers(columns[name], blank=True) for name in ("x", "y"))
    return _parted(path, image, reader, (t, x, y), None)


def _words(table: Table, column: str | None) -> Shaped[np.ndarray, " n"]:
    return table[column] if column is not None and column in table else np.full(len(table), "")


# --- Gazepoint


def _read_gazepoint(path: Path) -> Iterator[Recording]:
    """Gazepoint Analysis: best point of gaze in shares of the screen, valid where BPOGV is 1, on image MEDIA_NAME."""
    time = next((name for name in column_names(path) if re.fullmatch(r"TIME(\(.*\))?|Time \(in secs\)", name)), "TIME")
    table = read_table(path, [time, "BPOGX", "BPOGY", "BPOGV"], ["MEDIA_NAME"])
    valid = table.numbers("BPOGV", blank=True) == 1
    x, y = (np.where(valid, table.numbers(name, blank=True), np.nan) for name in ("BPOGX", "BPOGY"))
    nobody = np.full(len(table), "")
    return _parted(path, _words(table, "MEDIA_NAME"), nobody, (table.numbers(time), x, y), "screen_fraction")


# --- Tobii


def _read_tobii(path: Path) -> Iterator[Recording]:
    """Tobii Pro Lab and Studio: gaze point in pixels of the screen, blank where it was lost or nothing was sampled."""
    names = column_names(path)
    time, x, y = (_check_like(path, names, word) for word in ("recordingtimestamp", "gazepointx", "gazepointy"))
    image = _like(names, "presentedmedianame") or _like(names, "presentedstimulusname") or _like(names, "medianame")
    reader, sensor = _like(names, "participantname"), _like(names, "sensor")
    table = read_table(path, [time, x, y], [name for name in (image, reader, sensor) if name])
    keep = np.ones(len(table), dtype=bool)
    if sensor:  # rows of events have another one, or none; Studio has no such column
        keep &= table[sensor] == "Eye Tracker"
    if image:  # between two images nothing is shown
        keep &= table[image] != ""
    table = table.select(keep)
    microseconds = re.search(r"\[(u|\u00b5|\u03bc)s\]", time) is not None
    time_s = table.numbers(time) * SECONDS["us" if microseconds else "ms"]
    samples = time_s, _decimal(table, x), _decimal(table, y)
    return _parted(path, _words(table, image), _words(table, reader), samples, "screen_px")


def _like(names: list[str], word: str) -> str | None:
    """The first name whose letters begin with the word, units and capitals aside."""
    return next((name for name in names if re.sub(r"[^a-z]", "", name.lower()).startswith(word)), None)


def _check_like(path: Path, names: list[str], word: str) -> str:
    found = _like(names, word)
    if found is None:
        raise TableError(f"the table has no column like {word}", where=path, got=join_limited(names, 12))
    return found


def _decimal(table: Table, column: str) -> Float[np.ndarray, " n"]:
    """Numbers, whether with a decimal point or, as on many European systems, with a comma."""
    text = np.char.replace(table[column], ",", ".")
    return Table(table.path, {column: text}, table.row).numbers(column, blank=True)


# --- EyeLink

_SAMPLE = re.compile(r"\d+(\.\d+)?\s")
_SCREEN = re.compile(r"(?:DISPLAY_COORDS|GAZE_COORDS|SCREEN_COORDS)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)")
_IMAGE = re.compile(r"!V IMGLOAD\s+(?:CENTER|FILL|TOP_LEFT)\s+(\S+)")


def _read_eyelink(path: Path) -> list[Recording]:
    """EyeLink .asc (edf2asc): samples in pixels of the screen; "." is lost; the mean of both eyes where both were seen.

    An image begins with `MSG <time> !V IMGLOAD CENTER <file> ...`, as Experiment Builder and Data Viewer have it; what
    comes before is of no image, and in a file without such messages all is of the image of the file's name.
    """
    screen: tuple[int, int] | None = None
    parts: list[tuple[str, list[tuple[float, float, float]]]] = [("", [])]
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if _SAMPLE.match(line):
            parts[-1][1].append(_sample(line, f"{path}:{number}"))
        elif found := _IMAGE.search(line):
            parts.append((PurePosixPath(found[1].replace("\\", "/")).name, []))
        elif found := _SCREEN.search(line):
            left, top, right, bottom = map(float, found.groups())
            screen = round(right - left) + 1, round(bottom - top) + 1
    if not any(samples for _, samples in parts):
        raise DataError("the file has no sample", where=path, expected="the .asc form that edf2asc writes")
    times = [sample[0] for _, samples in parts for sample in samples]
    if (np.diff(times) < 0).any():
        raise TableError("the samples are not in order of time", where=path)
    named = [part for part in parts if part[0]] or [(path.stem, parts[0][1])]
    return [
        Recording(path, image, "1", *np.array(samples, dtype=np.float64).T, units="screen_px", screen_px=screen)
        for image, samples in named
        if samples
    ]


def _sample(line: str, where: str) -> tuple[float, float, float]:
    fields = line.split()
    numbers = [np.nan if field == "." else _number(field, where) for field in fields[: 7 if _binocular(fields) else 3]]
    if len(numbers) < 3:
        raise TableError("a sample has fewer than three values", where=where, got=repr(line))
    eyes = [numbers[1:3], numbers[4:6]] if len(numbers) == 7 else [numbers[1:3]]
    seen = [eye for eye in eyes if not np.isnan(eye).any()]
    x, y = np.mean(seen, axis=0) if seen else (np.nan, np.nan)
    return numbers[0] / 1000, float(x), float(y)


def _binocular(fields: list[str]) -> bool:
    """Time and three values an eye; flags such as "..." may follow."""
    return len([field for field in fields if not re.fullmatch(r"[.A-Z]{2,}", field)]) >= 7


def _number(field: str, where: str) -> float:
    try:
        return float(field)
    except ValueError:
        raise TableError("a sample holds what is no number", where=where, got=repr(field)) from None
