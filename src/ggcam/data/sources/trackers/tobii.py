"""Tobii Pro Lab and Tobii Studio: samples, or rows of fixations."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ggcam.data.sources.coordinates import Units
from ggcam.data.sources.time_units import SECONDS_PER_UNIT, unit_by_rate, unit_in_name
from ggcam.data.sources.trackers.recording import Placement, ReadOptions, Recording
from ggcam.data.sources.trackers.rows import Rows, find_column, read_rows, require_column
from ggcam.data.tables import Table, column_names
from ggcam.errors import TableError, join_limited

USES = frozenset({"time_unit", "duration_unit"})
"""Options of :class:`ReadOptions` that this format has a use for."""

_MEDIA = ("presentedmedianame", "presentedstimulusname", "medianame", "stimulusname")
_BY = ("image", "reader", "session")
_ON_SCREEN = ("dacspx", "adcspx", "px", "", "norm", "dacsnorm", "adcsnorm")
_ON_IMAGE = ("mcsnorm", "mcspx")
_IN_MM = ("dacsmm", "adcsmm", "mm")
_GEOMETRY = {
    "screen_width": ("recordingresolutionwidth",),
    "screen_height": ("recordingresolutionheight",),
    "left": ("presentedmediapositionx", "mediaposx"),
    "top": ("presentedmediapositiony", "mediaposy"),
    "width": ("presentedmediawidth", "mediawidth"),
    "height": ("presentedmediaheight", "mediaheight"),
    "media_width": ("originalmediawidth",),
    "media_height": ("originalmediaheight",),
}


def recognises(names: list[str]) -> bool:
    """Return whether a table with columns of these names is a table of Tobii."""
    return find_column(names, "gazepointx", "gazepointleftx", "fixationpointx") is not None


def read(path: Path, options: ReadOptions) -> list[Recording]:
    """Read one table.

    Positions are in the units that the names of the columns state: pixels or millimetres of the screen (DACS, ADCS;
    pixels without a unit), pixels or fractions of the image (MCS). Times without a unit are milliseconds unless their
    sampling rate is impossible. A row is a sample if its sensor is the eye tracker and an image is shown.

    Args:
        path: the file.
        options: how to read it.

    Returns:
        One recording per image, participant and recording.

    Raises:
        TableError: the table lacks a column, has an invalid value, or has no row of the eye tracker.
    """
    columns = _find_columns(path)
    rows = read_rows(path, columns.numbers, columns.texts, options.max_bytes, _is_sample(columns.texts))
    if not len(rows):
        raise TableError(
            "no row of the table is a sample",
            where=path,
            expected="rows whose sensor is 'Eye Tracker' and that name the image",
            hint="export the samples of the eye tracker together with the presented media",
        )
    time = columns.numbers["time_s"]
    unit = options.time_unit or unit_in_name(time) or unit_by_rate(rows.numbers["time_s"], "ms")
    rows.numbers["time_s"] = rows.numbers["time_s"] * SECONDS_PER_UNIT[unit]
    if columns.fixation_unit is not None:
        of_fixations = rows.equals("kind", "Fixation", "fixation")
        starts = _first_rows(rows, of_fixations)
        one_row_each = len(starts) > 1 and len(starts) == int(of_fixations.sum())
        if columns.gaze_unit is None or options.prefer == "fixations" or one_row_each:
            fixations = _as_fixations(rows, starts, columns.numbers["duration_s"], options)
            has_both = columns.gaze_unit is not None and not one_row_each
            return list(_recordings(fixations, columns.fixation_unit, has_both))
        for name in ("fixation_x", "fixation_y", "duration_s"):
            del rows.numbers[name]
    if "x2" in rows.numbers:
        for axis in ("x", "y"):
            left, right = rows.numbers[axis], rows.numbers[f"{axis}2"]
            rows.numbers[axis] = np.where(np.isnan(left), right, np.where(np.isnan(right), left, (left + right) / 2))
    return list(_recordings(rows, columns.gaze_unit or ""))


@dataclass(frozen=True)
class _Columns:
    """Columns of a table by their meaning, and the units of the positions; None where there is no position."""

    numbers: dict[str, str]
    texts: dict[str, str]
    gaze_unit: str | None
    fixation_unit: str | None


def _find_columns(path: Path) -> _Columns:
    """Find the columns of samples and of fixations; a table needs one of the two."""
    names = column_names(path)
    time = require_column(path, names, "recordingtimestamp", "eyetrackertimestamp")
    without_index = [name for name in names if "index" not in name.lower()]
    found = {
        "image": find_column(names, *_MEDIA),
        "reader": find_column(names, "participantname"),
        "session": find_column(names, "recordingname"),
        "sensor": find_column(names, "sensor"),
        "kind": find_column(without_index, "eyemovementtype", "gazeeventtype"),
    }
    texts = {name: column for name, column in found.items() if column}
    geometry = {name: column for name, prefixes in _GEOMETRY.items() if (column := find_column(names, *prefixes))}
    placed = {"left", "top", "width", "height"} <= set(geometry)
    numbers = {"time_s": time, **geometry}
    mean = _position(names, "gazepoint", placed)
    eyes = mean or _position(names, "gazepointleft", placed)
    if eyes:
        numbers |= {"x": eyes[0], "y": eyes[1]}
        other_eye = None if mean else _position(names, "gazepointright", placed)
        if other_eye and other_eye[2] == eyes[2]:
            numbers |= {"x2": other_eye[0], "y2": other_eye[1]}
    fixation, duration = _position(names, "fixationpoint", placed), find_column(names, "gazeeventduration")
    if fixation and duration and "kind" in texts:
        numbers |= {"fixation_x": fixation[0], "fixation_y": fixation[1], "duration_s": duration}
        numbers |= {"index": index} if (index := find_column(names, "eyemovementtypeindex", "fixationindex")) else {}
        return _Columns(numbers, texts, eyes[2] if eyes else None, fixation[2])
    if eyes is None:
        raise TableError(
            "the table has no columns x and y of the gaze in one unit",
            where=path,
            expected="Gaze point X and Gaze point Y; or Fixation point X and Y, Gaze event duration, Eye movement type",
            got=join_limited(names, 12),
        )
    return _Columns(numbers, texts, eyes[2], None)


def _is_sample(texts: Mapping[str, str]) -> Callable[[Table], np.ndarray]:
    """Return a function that finds the rows of the eye tracker during an image."""

    def keep(table: Table) -> np.ndarray:
        found = np.ones(len(table), dtype=bool)
        if "sensor" in texts:  # rows of events have another sensor or none; Studio does not have this column
            found &= table[texts["sensor"]] == "Eye Tracker"
        if "image" in texts:  # blank between two images, when none is shown
            found &= table[texts["image"]] != ""
        return found

    return keep


def _first_rows(rows: Rows, of_fixations: np.ndarray) -> np.ndarray:
    """Indices of the first row of each fixation, by its number or, without numbers, by its position and duration."""
    which = np.flatnonzero(of_fixations)
    names = ["index"] if "index" in rows.numbers else ["fixation_x", "fixation_y", "duration_s"]
    keys = [rows.numbers[name][which] for name in names]
    keys += [rows.codes[name][which].astype(np.float64) for name in _BY if name in rows.codes]
    _, first = np.unique(np.stack(keys, axis=1), axis=0, return_index=True)
    return which[np.sort(first)]


def _as_fixations(rows: Rows, starts: np.ndarray, duration: str, options: ReadOptions) -> Rows:
    found = rows.select(starts)
    unit = options.duration_unit or unit_in_name(duration) or "ms"
    found.numbers["duration_s"] = found.numbers["duration_s"] * SECONDS_PER_UNIT[unit]
    found.numbers["x"], found.numbers["y"] = found.numbers["fixation_x"], found.numbers["fixation_y"]
    return found


def _recordings(rows: Rows, unit: str, has_both: bool = False) -> Iterator[Recording]:
    """Group the rows, and add what the table says about the screen, the image on it, and the units."""
    by = [name for name in _BY if name in rows.codes]
    for found in rows.recordings(by, has_both=has_both):
        here = rows.select(np.sort(np.searchsorted(rows.row, found.row)))

        def first(name: str, here: Rows = here) -> float:
            values = here.numbers.get(name, np.empty(0))
            return next(iter(values[np.isfinite(values)].tolist()), 0.0)

        width, height = round(first("screen_width")), round(first("screen_height"))
        left, top, shown_width, shown_height = (first(name) for name in ("left", "top", "width", "height"))
        placed = shown_width > 0 and shown_height > 0
        placement = Placement((left, top, left + shown_width, top + shown_height)) if placed else None
        x, y = found.x, found.y
        units: Units = "screen_mm" if unit.endswith("mm") else "screen_px"
        if unit in ("dacsnorm", "adcsnorm", "norm"):
            units = "screen_fraction"
        elif unit.startswith("mcs"):
            media = first("media_width") or shown_width, first("media_height") or shown_height
            scale = media if unit == "mcspx" else (1.0, 1.0)
            if all(scale):
                x, y, units = x / scale[0], y / scale[1], "fraction"
            else:
                units = "px"
            if placed and units == "fraction":  # degrees of visual angle refer to the screen
                x, y, units = left + x * shown_width, top + y * shown_height, "screen_px"
        yield replace(
            found,
            x=x,
            y=y,
            units=units,
            units_from_file=bool(unit),
            origin="top-left",
            screen_px=(width, height) if width > 0 and height > 0 else None,
            placement=placement if units.startswith("screen") else None,
        )


def _position(names: list[str], prefix: str, placed: bool) -> tuple[str, str, str] | None:
    """Find the columns x and y, and their unit.

    Pixels of the screen are preferred, or positions on the image where the table does not tell where that was.
    """
    found: dict[str, dict[str, str]] = {}
    for name in names:
        letters = re.sub(r"[^a-z]", "", name.lower())
        match = re.fullmatch(prefix + r"([xy])((?:mcs|dacs|adcs)?(?:norm|px|mm)?)", letters)
        if match:
            found.setdefault(match[2], {}).setdefault(match[1], name)
    order = [*_ON_SCREEN, *_ON_IMAGE, *_IN_MM] if placed else [*_ON_IMAGE, *_ON_SCREEN, *_IN_MM]
    best = next((unit for unit in order if len(found.get(unit, {})) == 2), None)
    return None if best is None else (found[best]["x"], found[best]["y"], best)
