"""A table of fixations, whatever its columns are called, as the readings of labelled images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped

from ggcam.data.sources.coordinates import CoordinateSystem, check_units
from ggcam.data.sources.fixation_rows import FixationRows, group_readings
from ggcam.data.sources.gaze_tally import GazeTally
from ggcam.data.sources.image_names import match_images, read_image_sizes
from ggcam.data.sources.labelled_images import LabelledImages, normalise_paths
from ggcam.data.sources.time_units import SECONDS_PER_UNIT, TimeUnit, unit_in_name
from ggcam.data.tables import column_names, read_table
from ggcam.errors import ConfigError, DataError
from ggcam.gaze.fixations import Fixations

FIXATION_COLUMNS = ("image", "x", "y", "start_s", "duration_s", "reader", "label")
"""Columns of a table of fixations; the first three are required."""

MAX_TYPICAL_S = 20.0
"""A longer median duration of fixations is in another unit."""


def parse_columns(text: str, known: tuple[str, ...]) -> dict[str, str]:
    """Parse a mapping of column names.

    Args:
        text: pairs NAME=NAME_IN_FILE, separated by commas, such as "image=FILE,x=GazeX".
        known: valid names on the left.

    Returns:
        Name -> name in the file; names that do not occur in the text are mapped to themselves.

    Raises:
        ConfigError: a part does not have this form, or its name is unknown.
    """
    columns = {name: name for name in known}
    for part in filter(None, text.split(",")):
        name, equals, name_in_file = (piece.strip() for piece in part.partition("="))
        if not equals or not name_in_file or name not in columns:
            raise ConfigError(
                "columns must be given as NAME=NAME_IN_FILE, separated by commas",
                where="--columns",
                expected=f"names among {', '.join(known)}",
                got=repr(part),
            )
        columns[name] = name_in_file
    return columns


def read_fixation_table(
    path: Path,
    images: LabelledImages,
    dropped: Counter[str],
    columns: Mapping[str, str],
    coordinates: CoordinateSystem,
    time_unit: TimeUnit | None = None,
    by_name: bool = False,
    duration_unit: TimeUnit | None = None,
    units_assumed: bool = False,
) -> list[dict[str, Fixations]]:
    """Read a table of fixations.

    Args:
        path: CSV, TSV or Parquet file.
        images: the images whose fixations are kept.
        dropped: reason -> count; updated.
        columns: name among `FIXATION_COLUMNS` -> name in the file.
        coordinates: meaning of x and y.
        time_unit: unit of the start; None for the one in the column's name, or seconds.
        by_name: whether images may also be named by less than their path; see :func:`match_images`.
        duration_unit: unit of the duration; None for the one in the column's name, or that of the start. Without
            durations, each fixation lasts 1 s.
        units_assumed: whether the units are a default and not the user's word.

    Returns:
        For each image, reading id -> fixations.

    Raises:
        MissingFileError: the table does not exist.
        TableError: the table lacks a column, has an invalid value, or names none of the images.
        ConfigError: the coordinates do not look like the given units.
        DataError: most fixations lie off their images, none is left, or they last too long.
    """
    if (time_unit or duration_unit) and not {columns["start_s"], columns["duration_s"]} & set(column_names(path)):
        raise ConfigError(
            "a unit of time has no meaning for a table without times",
            where=f"{path}, --time-unit, --duration-unit",
            hint="leave it out",
        )
    table = read_table(
        path, [columns[name] for name in FIXATION_COLUMNS[:3]], [columns[name] for name in FIXATION_COLUMNS[3:]]
    )
    case = match_images(normalise_paths(table, columns["image"])[columns["image"]], images, path, by_name)
    sizes = read_image_sizes(images, case)
    unreadable = (case >= 0) & (sizes[case, 0] == 0)
    dropped["fixation on an image that is not a case"] += int((case < 0).sum())
    dropped["fixation on an image that cannot be read"] += int(unreadable.sum())
    keep = (case >= 0) & ~unreadable
    tally = GazeTally("fixations", path, len(images.images))
    tally.add("an image that is not a case", table.select(~keep).row, path, len(table) - int(keep.sum()))
    table, case = table.select(keep), case[keep]

    def seconds(name: str, default: float, unit: TimeUnit | None) -> Float[np.ndarray, " n"] | float:
        column = columns[name]
        if column not in table:
            return default
        return table.numbers(column, allow_blank=True) * SECONDS_PER_UNIT[unit or unit_in_name(column) or "s"]

    def text(name: str) -> Shaped[np.ndarray, " n"]:
        return table[columns[name]] if columns[name] in table else np.full(len(table), "")

    x, y = (table.numbers(columns[name], allow_blank=True) for name in ("x", "y"))
    shown = sizes[np.unique(case)]
    check_units(x, y, coordinates, path, int(shown.min()) if units_assumed and len(shown) else 0)
    x_px, y_px, px_per_degree = coordinates.to_image(x, y, sizes[case])
    reader = text("reader")
    duration_s = seconds("duration_s", 1.0, duration_unit or unit_in_name(columns["duration_s"]) or time_unit)
    if np.ndim(duration_s) and len(table) and np.nanmedian(duration_s) > MAX_TYPICAL_S:
        raise DataError(
            f"the fixations last {np.nanmedian(duration_s):g} s, in the median",
            where=path,
            expected=f"up to {MAX_TYPICAL_S:g} s",
            hint="give the unit of the durations, such as --duration-unit ms (source table)",
        )
    rows = FixationRows.build(
        case=case,
        x_px=x_px,
        y_px=y_px,
        start_s=seconds("start_s", np.nan, time_unit),
        duration_s=duration_s,
        px_per_degree=px_per_degree,
        reading_id=np.where(reader == "", "1", reader),
        label=text("label"),
    )
    tally.add_rows(rows, sizes, table.row, path, x, y)
    tally.check()
    return group_readings(rows, sizes, dropped, path)
