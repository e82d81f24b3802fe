"""A table of fixations, whatever its columns are called, as the readings of labelled images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, Shaped

from ggcam.data.sources.coordinates import CoordinateSystem
from ggcam.data.sources.fixation_rows import MIN_FIXATIONS, FixationRows, group_readings
from ggcam.data.sources.image_files import read_sizes
from ggcam.data.sources.labelled_images import LabelledImages, normalise_paths
from ggcam.data.tables import read_table
from ggcam.errors import ConfigError, TableError, join_limited
from ggcam.gaze.fixations import Fixations

TimeUnit = Literal["s", "ms", "us"]
SECONDS_PER_UNIT: Mapping[TimeUnit, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6}

FIXATION_COLUMNS = ("image", "x", "y", "start_s", "duration_s", "reader", "label")
"""Columns of a table of fixations; the first three are required."""


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
    time_unit: TimeUnit = "s",
    by_name: bool = False,
) -> list[dict[str, Fixations]]:
    """Read a table of fixations.

    Args:
        path: CSV, TSV or Parquet file.
        images: the images whose fixations are kept.
        dropped: reason -> count; updated.
        columns: name among `FIXATION_COLUMNS` -> name in the file.
        coordinates: meaning of x and y.
        time_unit: unit of start and duration. Without durations, each fixation lasts 1 s.
        by_name: whether images may also be named by less than their path; see :func:`match_images`.

    Returns:
        For each image, reading id -> fixations.

    Raises:
        MissingFileError: the table does not exist.
        TableError: the table lacks a column, has an invalid value, or names none of the images.
        ConfigError: the coordinates do not look like the given units.
        DataError: most fixations lie off their images.
    """
    table = read_table(
        path, [columns[name] for name in FIXATION_COLUMNS[:3]], [columns[name] for name in FIXATION_COLUMNS[3:]]
    )
    case = match_images(normalise_paths(table, columns["image"])[columns["image"]], images, path, by_name)
    sizes = read_image_sizes(images, case)
    unreadable = (case >= 0) & (sizes[case, 0] == 0)
    dropped["fixation on an image that is not a case"] += int((case < 0).sum())
    dropped["fixation on an image that cannot be read"] += int(unreadable.sum())
    keep = (case >= 0) & ~unreadable
    table, case = table.select(keep), case[keep]

    def seconds(name: str, default: float) -> Float[np.ndarray, " n"] | float:
        column = columns[name]
        return table.numbers(column, allow_blank=True) * SECONDS_PER_UNIT[time_unit] if column in table else default

    def text(name: str) -> Shaped[np.ndarray, " n"]:
        return table[columns[name]] if columns[name] in table else np.full(len(table), "")

    x, y = (table.numbers(columns[name], allow_blank=True) for name in ("x", "y"))
    _check_units(x, y, coordinates, path)
    x_px, y_px, px_per_degree = coordinates.to_image(x, y, sizes[case])
    reader = text("reader")
    rows = FixationRows.build(
        case=case,
        x_px=x_px,
        y_px=y_px,
        start_s=seconds("start_s", np.nan),
        duration_s=seconds("duration_s", 1.0),
        px_per_degree=px_per_degree,
        reading_id=np.where(reader == "", "1", reader),
        label=text("label"),
    )
    return group_readings(rows, sizes, dropped, path)


def match_images(
    names: Shaped[np.ndarray, " n"], images: LabelledImages, where: Path, by_name: bool
) -> Int[np.ndarray, " n"]:
    """Find the image that each name refers to.

    Args:
        names: paths of images relative to their folder; "" for none.
        images: the images to find.
        where: the table, for messages.
        by_name: also accept the path without suffix, the file name, and the file name without suffix, if only one image
            has it.

    Returns:
        Index of each image, -1 if a name refers to none of them.

    Raises:
        TableError: no name refers to an image.
    """
    index_of = {image: index for index, image in enumerate(images.images)}
    if by_name:
        paths = [PurePosixPath(image) for image in images.images]
        without_suffix = [path.with_suffix("").as_posix() for path in paths]
        for short_names in (without_suffix, [path.name for path in paths], [path.stem for path in paths]):
            counts = Counter(short_names)
            index_of = {name: index for index, name in enumerate(short_names) if counts[name] == 1} | index_of
    case = np.array([index_of.get(name, -1) for name in names.tolist()], dtype=np.int64)
    if len(case) and (case < 0).all():
        raise TableError(
            "none of the images in the gaze table is a case",
            where=where,
            expected=f"paths such as {images.images[0]}",
            got=join_limited(dict.fromkeys(names.tolist()), limit=2),
        )
    return case


def read_image_sizes(images: LabelledImages, case: Int[np.ndarray, " n"]) -> Int[np.ndarray, "images 2"]:
    """Read the sizes of the images that have gaze.

    An unreadable image is reported later, when its pixels are read; here its size is unknown, so its gaze cannot be
    kept.

    Args:
        images: all images.
        case: index of the image of each fixation; -1 for none.

    Returns:
        Height and width of each image; 0 for images that do not occur in `case` and for unreadable ones.
    """
    with_gaze = np.unique(case[case >= 0])
    sizes = np.zeros((len(images.images), 2), dtype=np.int64)
    sizes[with_gaze] = read_sizes([images.files[index] for index in with_gaze], True, Counter(), hint="")
    return sizes


def _check_units(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], coordinates: CoordinateSystem, where: Path
) -> None:
    """Refuse fractions given as pixels, and pixels given as fractions."""
    units = coordinates.units
    largest = np.nanmax(np.concatenate([x, y]), initial=-np.inf)
    fractions = units.endswith("fraction")
    if len(x) >= MIN_FIXATIONS and not fractions and 0 < largest <= 1.1:
        raise ConfigError(
            "the coordinates do not look like pixels: none is above 1.1",
            where=f"{where}, --units {units}",
            hint=f"pass --units {'screen_fraction' if units == 'screen_px' else 'fraction'}",
        )
    if len(x) and fractions and np.nanmedian(np.abs(np.concatenate([x, y]))) > 2:
        raise ConfigError(
            "the coordinates do not look like fractions: most are above 2",
            where=f"{where}, --units {units}",
            hint=f"pass --units {'screen_px' if units == 'screen_fraction' else 'px'}",
        )
