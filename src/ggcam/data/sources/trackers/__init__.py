"""Recordings of eye trackers: one module per tracker, and a function that reads a file or a folder of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Literal

from ggcam.data.sources.trackers import eyelink, gazepoint, generic, pupil_labs, realeye, tobii
from ggcam.data.sources.trackers.recording import Content, Placement, ReadOptions, Recording
from ggcam.data.table_files import open_unpacked
from ggcam.data.tables import column_names, is_parquet
from ggcam.errors import ConfigError, DataError, MissingFileError, join_limited

__all__ = ["Content", "Placement", "ReadOptions", "Recording", "Tracker", "read_recordings", "recognise_tracker"]

Tracker = Literal["auto", "eyelink", "gazepoint", "tobii", "pupil-labs", "realeye", "generic"]

TRACKERS: dict[str, ModuleType] = {
    "eyelink": eyelink,
    "gazepoint": gazepoint,
    "tobii": tobii,
    "pupil-labs": pupil_labs,
    "realeye": realeye,
    "generic": generic,
}
"""Name -> module with a function `read` and the options that it uses."""

_TABLES = ("pupil-labs", "realeye", "gazepoint", "tobii")
"""Trackers whose tables are recognised by the names of the columns."""

_OTHER_ENDINGS = (".edf", ".xlsx", ".xls", ".pdf", ".png", ".jpg", ".jpeg", ".mp4", ".avi", ".zip", ".json", ".db")
_START = 8192


def read_recordings(path: Path, tracker: Tracker, options: ReadOptions, dropped: Counter[str]) -> list[Recording]:
    """Read one recording, or all recordings in a folder at any depth.

    Where a reader's samples and fixations on an image are in the same folder, only the preferred of the two are kept.

    Args:
        path: the file or the folder.
        tracker: eye tracker that made them; "auto" recognises it from the content.
        options: how to read them.
        dropped: reason -> count; updated.

    Returns:
        One recording per image, reader and session.

    Raises:
        MissingFileError: the file does not exist, or the folder has no files.
        TableError: a recording lacks a column, or has an invalid value.
        DataError: no file is a recording.
        ConfigError: no file has a use for an option.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file() and not _is_hidden(file.relative_to(path)))
    else:
        files = [path]
    if not files or not files[0].is_file():
        raise MissingFileError("there is no recording", where=path, expected="a recording, or a folder of recordings")
    recordings: list[Recording] = []
    used: set[str] = set()
    refused: dict[Path, Exception] = {}
    for file in files:
        name = tracker if tracker != "auto" else None
        try:
            name = name or recognise_tracker(file) or "generic"
            recordings += TRACKERS[name].read(file, options)
            used.add(name)
        except DataError as error:
            damaged = error.__cause__ is not None
            if damaged or name not in (None, "generic") or not path.is_dir():
                raise
            refused[file] = error
    if not used:
        raise next(iter(refused.values()))
    if refused:
        names = join_limited((file.name for file in refused), limit=3)
        dropped[f"file in {path.name} that is not a recording ({names})"] += len(refused)
    _refuse_unused(options, used, path)
    if not sum(len(recording.time_s) for recording in recordings):
        raise DataError(
            "there is no gaze in the recordings",
            where=path,
            expected=f"{options.prefer} while an image is shown",
            got=f"none in {len(files) - len(refused):,} files of {', '.join(sorted(used))}",
        )
    return _without_pairs(recordings, options.prefer, dropped)


def recognise_tracker(path: Path) -> str | None:
    """Return the tracker that made a file, by the file's content.

    Args:
        path: the file.

    Returns:
        A name among `TRACKERS`; None if it is not recognised, which may be a generic table.

    Raises:
        MissingFileError: the file does not exist.
        DataError: the file is of another kind.
    """
    if path.suffix.lower() in _OTHER_ENDINGS:
        raise DataError("not a recording in text form", where=path, hint="export it as text: .asc, .csv or .tsv")
    start = ""
    if not is_parquet(path):
        with open_unpacked(path) as file:
            head = file.read(_START)
        utf_16 = head.startswith((b"\xff\xfe", b"\xfe\xff")) or (head[:1] != b"\0" and head[1:2] == b"\0")
        if b"\0" in head and not utf_16:
            raise DataError("not a recording in text form", where=path, got="binary content")
        start = head.decode("utf-8", errors="replace")
    if eyelink.recognises(path, start):
        return "eyelink"
    names = column_names(path)
    return next((name for name in _TABLES if TRACKERS[name].recognises(names)), None)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "~$")) for part in path.parts)


def _refuse_unused(options: ReadOptions, used: set[str], path: Path) -> None:
    """Refuse options that none of the files has a use for."""
    columns = {name: column for name, column in options.columns.items() if name != column}
    given = {"columns": columns, "time_unit": options.time_unit, "duration_unit": options.duration_unit}
    for option, value in given.items():
        if value and not any(option in TRACKERS[name].USES for name in used):
            formats = ", ".join(sorted(used))
            raise ConfigError(
                f"--{option.replace('_', '-')} has no meaning for recordings of {formats}",
                where=path,
                hint="leave it out: the files tell",
            )


def _without_pairs(recordings: list[Recording], prefer: Content, dropped: Counter[str]) -> list[Recording]:
    """Keep one of a reader's samples, the fixations in the same file, and a table of fixations beside it."""

    def key(recording: Recording) -> tuple[Path, str, str, str]:
        return recording.path.parent, Path(recording.image).stem, recording.reader, recording.session

    def rank(recording: Recording) -> int:
        return int(recording.has_both and prefer == "fixations") if recording.content == prefer else 2

    best: dict[tuple[Path, str, str, str], int] = {}
    for recording in recordings:
        best[key(recording)] = min(rank(recording), best.get(key(recording), 2))
    kept = [recording for recording in recordings if rank(recording) == best[key(recording)]]
    n_rows = sum(len(each.time_s) for each in recordings) - sum(len(each.time_s) for each in kept)
    dropped[f"sample or fixation of a recording whose {prefer} are read"] += n_rows
    return kept
