"""EyeLink recordings in text form (.asc, written by edf2asc): samples, or the tracker's own fixations (EFIX)."""

from __future__ import annotations

import io
import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import numpy as np

from ggcam.data.sources.coordinates import Origin
from ggcam.data.sources.time_units import spread_repeats
from ggcam.data.sources.trackers.eyelink_images import Display, Displays
from ggcam.data.sources.trackers.recording import ReadOptions, Recording
from ggcam.data.sources.trackers.rows import MAX_TIME_S, check_positions, own_name
from ggcam.data.table_files import open_unpacked, text_encoding
from ggcam.errors import DataError, TableError

USES: frozenset[str] = frozenset()
"""Options of :class:`ReadOptions` that this format has a use for."""

_MAX_LINE = 2**16

_SAMPLE = re.compile(r"\d+(\.\d+)?\s")
_MESSAGE = re.compile(r"MSG\s+(\d+(?:\.\d+)?)\s+(?:(-?\d+)\s+)?(.*)")
_SCREEN = re.compile(r"(?:DISPLAY_COORDS|GAZE_COORDS|SCREEN_COORDS)\b[\s=:]*(.*)")


def recognises(path: Path, start: str) -> bool:
    """Return whether a file is an EyeLink recording.

    Args:
        path: the file.
        start: its first characters.

    Returns:
        True for a file with the ending .asc, in any case and before that of compression, or with lines of EyeLink.
    """
    lines = [line.strip() for line in start.splitlines()[:50]]
    return ".asc" in (suffix.lower() for suffix in path.suffixes[-2:]) or any(
        line.startswith("** CONVERTED FROM") or re.match(r"MSG\t\d+", line) for line in lines
    )


def read(path: Path, options: ReadOptions) -> list[Recording]:
    """Read the samples of one file, or its fixations if it has no samples or these are preferred.

    Positions are in pixels of the screen, "." where the eye is lost, and the mean of both eyes if both are tracked. See
    :class:`Displays` for the images. Samples without an image are left out; in a file without any name of an image, all
    belong to the image with the file's name.

    Args:
        path: the file.
        options: how to read it.

    Returns:
        One recording per image and trial.

    Raises:
        TableError: the file has an invalid line.
        DataError: the file has neither samples nor fixations, or not in pixels of the screen.
    """
    parsed = _Parser(path)
    encoding = text_encoding(path)
    with open_unpacked(path, options.max_bytes) as file:
        text = io.TextIOWrapper(cast(IO[bytes], file), encoding=encoding, errors="replace")
        for number, line in enumerate(iter(lambda: text.readline(_MAX_LINE), ""), start=1):
            if len(line) == _MAX_LINE:
                raise TableError(f"a line has more than {_MAX_LINE:,} characters", where=f"{path}:{number}")
            parsed.add(number, line)
    if len(parsed.samples) and (options.prefer == "samples" or not any(map(len, parsed.fixations.values()))):
        return list(_samples(parsed))
    found = list(_fixations(parsed))
    if not any(map(len, parsed.fixations.values())):
        raise DataError("the file has no samples", where=path, expected="an .asc file written by edf2asc")
    return found


class _Parser:
    """The lines of a file, sorted into samples, fixations and displays of images."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Arrays take 8 bytes a number, a list of Python numbers 32.
        self.samples, self.sample_lines = array("d"), array("q")
        self.fixations: dict[str, array[float]] = {"L": array("d"), "R": array("d")}
        self.displays = Displays()
        self.n_eyes: int | None = None
        self.screen_px: tuple[int, int] | None = None
        self.offset = 0.0, 0.0
        self.origin: Origin = "top-left"

    def add(self, number: int, line: str) -> None:
        where = f"{self.path}:{number}"
        if _SAMPLE.match(line):
            self._add_sample(line, where)
            self.sample_lines.append(number)
        elif found := _MESSAGE.match(line):
            time_ms = float(found[1]) - float(found[2] or 0)
            if screen := _SCREEN.match(found[3]):
                self._set_screen(screen[1], where)
            self.displays.add_message(time_ms / 1000, found[3].strip())
        elif line.startswith("EFIX"):
            self._add_fixation(line, number, where)
        elif line.startswith(("SAMPLES", "START")):
            words = line.split()
            if line.startswith("SAMPLES") and ("HREF" in words or "PUPIL" in words):
                raise DataError(
                    "the samples are not in pixels of the screen",
                    where=where,
                    got=line.strip(),
                    hint="convert the .edf file again with gaze positions: edf2asc -sg",
                )
            self.n_eyes = ("LEFT" in words) + ("RIGHT" in words) or self.n_eyes
            if line.startswith("START"):
                self.displays.start(_number(words[1], where) / 1000 if len(words) > 1 else 0.0)

    def _add_sample(self, line: str, where: str) -> None:
        """Add the time and the first values: x, y and pupil of each eye; further columns are of other kinds."""
        words = line.split()
        n_eyes = self.n_eyes or _count_eyes(words)
        numbers = [np.nan if word == "." else _number(word, where) for word in words[: 1 + 3 * n_eyes]]
        if len(numbers) < (3 if n_eyes == 1 else 6):
            raise TableError("a sample has fewer than three values", where=where, got=repr(line))
        eyes = [numbers[1:3], numbers[4:6]] if n_eyes == 2 else [numbers[1:3]]
        tracked = [eye for eye in eyes if eye[0] == eye[0] and eye[1] == eye[1]]
        x = sum(eye[0] for eye in tracked) / len(tracked) if tracked else np.nan
        y = sum(eye[1] for eye in tracked) / len(tracked) if tracked else np.nan
        self.samples.extend((numbers[0] / 1000, x, y))

    def _add_fixation(self, line: str, number: int, where: str) -> None:
        words = line.split()
        if len(words) < 7 or words[1] not in self.fixations:
            raise TableError("a fixation is not EFIX, eye, start, end, duration, x, y", where=where, got=repr(line))
        start, _, duration, x, y = (np.nan if word == "." else _number(word, where) for word in words[2:7])
        self.fixations[words[1]].extend((start / 1000, duration / 1000, x, y, number))

    def _set_screen(self, text: str, where: str) -> None:
        """Take the corners of the screen; some experiments have 0 in its middle and y upwards."""
        words = re.split(r"[\s,]+", text.strip("()[] \t"))[:4]
        numbers = [float(word) for word in words if re.fullmatch(r"-?\d+(\.\d+)?", word)]
        usable = len(numbers) == 4 and max(map(abs, numbers)) < 1e5
        left, top, right, bottom = numbers[:4] if usable else (0.0, 0.0, 0.0, 0.0)
        if right <= left or bottom == top:
            raise TableError(
                "the size of the screen cannot be read",
                where=where,
                expected="DISPLAY_COORDS left top right bottom, such as 0 0 1919 1079",
                got=repr(text.strip()),
                hint="correct the line",
            )
        self.screen_px = round(right - left) + 1, round(abs(bottom - top)) + 1
        self.offset = left, min(top, bottom)
        self.origin = "top-left" if bottom > top else "bottom-left"


def _samples(parsed: _Parser) -> Iterator[Recording]:
    time_s, x, y = np.frombuffer(parsed.samples).reshape(-1, 3).T
    if (np.diff(time_s) < 0).any():
        raise TableError("the samples are not in order of time", where=parsed.path)
    lines = np.frombuffer(parsed.sample_lines, dtype=np.int64)
    spread = spread_repeats(time_s)
    for display in parsed.displays.named(own_name(parsed.path)):
        rows = np.arange(*np.searchsorted(time_s, (display.on_s, display.off_s)))
        if len(rows):
            yield _recording(parsed, display, spread[rows], x[rows], y[rows], lines[rows])


def _fixations(parsed: _Parser) -> Iterator[Recording]:
    """Fixations of the eye that has more of them; the part of each during which the image was shown."""
    eye = max(parsed.fixations, key=lambda name: len(parsed.fixations[name]))
    start, duration, x, y, line = np.frombuffer(parsed.fixations[eye]).reshape(-1, 5).T
    for display in parsed.displays.named(own_name(parsed.path)):
        first, last = np.maximum(start, display.on_s), np.minimum(start + duration, display.off_s)
        rows = np.flatnonzero(last > first)
        rows = rows[np.argsort(first[rows], kind="stable")]
        if len(rows):
            seconds = last[rows] - first[rows]
            yield _recording(parsed, display, first[rows], x[rows], y[rows], line[rows].astype(np.int64), seconds)


def _recording(
    parsed: _Parser,
    display: Display,
    time_s: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    row: np.ndarray,
    duration_s: np.ndarray | None = None,
) -> Recording:
    check_positions(parsed.path, row, x, y)
    if not (np.abs(time_s) < MAX_TIME_S).all():
        raise TableError("a time is impossible", where=f"{parsed.path}:{row[0]}", got=f"{time_s.max():g} s")
    name = own_name(parsed.path)
    return Recording(
        path=parsed.path,
        image=display.image,
        reader="1" if display.image == name else name,
        time_s=time_s,
        x=x - parsed.offset[0],
        y=y - parsed.offset[1],
        row=row,
        duration_s=duration_s,
        onset_s=display.on_s if np.isfinite(display.on_s) else None,
        has_both=len(parsed.samples) > 0,
        session=display.trial,
        units="screen_px",
        units_from_file=True,
        origin=parsed.origin,
        screen_px=parsed.screen_px,
        placement=display.placement(parsed.screen_px),
    )


def _count_eyes(words: list[str]) -> int:
    """Number of eyes of a sample in a file that does not state it; flags such as "..." may follow the values."""
    return 2 if len([word for word in words if not re.fullmatch(r"[.A-Z]{2,}", word)]) >= 7 else 1


def _number(word: str, where: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise TableError("a sample has a value that is not a number", where=where, got=repr(word)) from None
