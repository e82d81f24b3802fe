"""A table of points, whatever its columns are called -> the readings of listed images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, Shaped

from ggcam.data.sources.image_files import read_sizes
from ggcam.data.sources.labelled_images import LabelledImages, normalise_paths
from ggcam.data.sources.fixation_rows import MIN_FIXATIONS, FixationRows, group_readings
from ggcam.data.sources.coordinates import CoordinateSystem
from ggcam.data.tables import read_table
from ggcam.errors import ConfigError, TableError, join_limited
from ggcam.gaze.fixations import Fixations

TimeUnit = Literal["s", "ms", "us"]
SECONDS: Mapping[TimeUnit, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6}

COLUMNS = ("image", "x", "y", "start_s", "duration_s", "reader", "label")
"""What a table of points may say."""


def parse_columns(text: str, known: tuple[str, ...]) -> dict[str, str]:
    """Read "image=FILE,x=GazeX": name of ours -> name in the file; names that are not given stand for themselves.

    Raises:
        ConfigError: a part is not of that form, or of an unknown name.
    """
    columns = {name: name for name in known}
    for part in filter(None, text.split(",")):
        ours, equals, theirs = (piece.strip() for piece in part.partition("="))
        if not equals or not theirs or ours not in columns:
            raise ConfigError(
                "columns are mapped as NAME=NAME IN THE FILE, with commas between them",
                where="--columns",
                expected=f"names among {', '.join(known)}",
                got=repr(part),
            )
        columns[ours] = theirs
    return columns


def read_fixation_table(
    path: Path,
    images: LabelledImages,
    dropped: Counter[str],
    columns: Mapping[str, str],
    screen: CoordinateSystem,
    time_unit: TimeUnit = "s",
    by_name: bool = False,
) -> list[dict[str, Fixations]]:
    """Read the fixations of a table.

    Args:
        path: CSV, TSV or Parquet.
        images: those that count.
        dropped: reason -> count, added to.
        columns: name among `COLUMNS` -> name in the file; image, x and y must be there.
        screen: what the coordinates mean.
        time_unit: of start and duration. Without a duration every fixation counts the same.
        by_name: whether an image may be named otherwise than by its whole path; see :func:`match_images`.

    Returns:
        For each image reading id -> fixations.

    Raises:
        MissingFileError, TableError: the table is not there, or holds what it must not.
        DataError: most points are off their images.
    """
    table = read_table(path, [columns[name] for name in COLUMNS[:3]], [columns[name] for name in COLUMNS[3:]])
    case = match_images(normalise_paths(table, columns["image"])[columns["image"]], images, path, by_name)
    sizes = read_image_sizes(images, case)
    unreadable = (case >= 0) & (sizes[case, 0] == 0)
    dropped["fixation on an image that is no case"] += int((case < 0).sum())
    dropped["fixation on an image that cannot be read"] += int(unreadable.sum())
    keep = (case >= 0) & ~unreadable
    table, case = table.select(keep), case[keep]

    def seconds(name: str, default: float) -> Float[np.ndarray, " n"] | float:
        column = columns[name]
        return table.numbers(column, blank=True) * SECONDS[time_unit] if column in table else default

    def words(name: str) -> Shaped[np.ndarray, " n"]:
        return table[columns[name]] if columns[name] in table else np.full(len(table), "")

    x, y = (table.numbers(columns[name], blank=True) for name in ("x", "y"))
    _check_units(x, y, screen, path)
    x_px, y_px, px_per_degree = screen.to_image(x, y, sizes[case])
    reader = words("reader")
    rows = FixationRows.build(
        case=case,
        x_px=x_px,
        y_px=y_px,
        start_s=seconds("start_s", np.nan),
        duration_s=seconds("duration_s", 1.0),
        px_per_degree=px_per_degree,
        reading_id=np.where(reader == "", "1", reader),
        label=words("label"),
    )
    return group_readings(rows, sizes, dropped, path)


def match_images(
    names: Shaped[np.ndarray, " n"], images: LabelledImages, where: Path, by_name: bool
) -> Int[np.ndarray, " n"]:
    """Number of the image that each name means, -1 for none.

    Args:
        names: paths of images in their folder; "" for none.
        images: those that count.
        where: the table, for the message.
        by_name: whether the path without its ending, the file's name, or that without its ending will do, too, where
            they mean one image alone.

    Raises:
        TableError: not one name means an image.
    """
    position = {image: at for at, image in enumerate(images.images)}
    if by_name:
        paths = [PurePosixPath(image) for image in images.images]
        bare = [path.with_suffix("").as_posix() for path in paths]
        for shorter in (bare, [path.name for path in paths], [path.stem for path in paths]):
            counts = Counter(shorter)
            position = {name: at for at, name in enumerate(shorter) if counts[name] == 1} | position
    case = np.array([position.get(name, -1) for name in names.tolist()], dtype=np.int64)
    if len(case) and (case < 0).all():
        raise TableError(
            "not one image of the fixations is among the cases",
            where=where,
            expected=f"paths such as {images.images[0]}",
            got=join_limited(dict.fromkeys(names.tolist()), most=2),
        )
    return case


def read_image_sizes(images: LabelledImages, case: Int[np.ndarray, " n"]) -> Int[np.ndarray, "images 2"]:
    """Height and width of the images that occur in `case`; 0 for the others and for the unreadable.

    An unreadable image is told where its pixels are needed; here its size is missing, so its gaze cannot be kept.
    """
    looked_at = np.unique(case[case >= 0])
    sizes = np.zeros((len(images.images), 2), dtype=np.int64)
    sizes[looked_at] = read_sizes([images.files[at] for at in looked_at], True, Counter(), hint="")
    return sizes


def _check_units(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], screen: CoordinateSystem, where: Path) -> None:
    """Refuse shares that were taken for pixels, and pixels that were taken for shares."""
    largest = np.nanmax(np.concatenate([x, y]), initial=-np.inf)
    shares = screen.units.endswith("fraction")
    if len(x) >= MIN_FIXATIONS and not shares and 0 < largest <= 1.1:
        raise ConfigError(
            "these coordinates are no pixels: not one is above 1.1",
            where=f"{where}, --units {screen.units}",
            hint=f"say --units {'screen_fraction' if screen.units == 'screen_px' else 'fraction'}",
        )
    if len(x) and shares and np.nanmedian(np.abs(np.concatenate([x, y]))) > 2:
        raise ConfigError(
            "these coordinates are no shares: most are above 2",
            where=f"{where}, --units {screen.units}",
            hint=f"say --units {'screen_px' if screen.units == 'screen_fraction' else 'px'}",
        )
