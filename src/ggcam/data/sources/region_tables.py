"""Tables of boxes, recognised by their columns: a plain regions.csv, VinDr-CXR, RSNA, and ChestX-ray14."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped

from ggcam.data.sources.label_sets import NO_FINDING
from ggcam.data.sources.nih_tables import is_box_list, read_box_list
from ggcam.data.tables import MISSING, Table, column_names, read_table
from ggcam.errors import TableError

RSNA_FINDING = "pneumonia"
"""What the boxes of RSNA's table mark; it has no column for it."""

_CORNERS = ("x0_px", "y0_px", "x1_px", "y1_px")
_VINDR_CORNERS = ("x_min", "y_min", "x_max", "y_max")
VINDR_COLUMNS = ("image_id", "class_name", *_VINDR_CORNERS)
"""Columns that a table of VinDr-CXR must have."""

_RSNA_SIZES = ("x", "y", "width", "height")
_NAMES = ("name", "label", "finding")


@dataclass(frozen=True, eq=False)
class RegionTable:
    """Rows of a table of regions.

    Attributes:
        image: name of each row's image.
        name: finding.
        kind: box or ellipse.
        corners: left, top, right and bottom edge, as in the table.
        where: place of each row, for messages.
    """

    image: Shaped[np.ndarray, " n"]
    name: Shaped[np.ndarray, " n"]
    kind: Shaped[np.ndarray, " n"]
    corners: Float[np.ndarray, "n 4"]
    where: tuple[str, ...]


def read_region_table(path: Path) -> RegionTable:
    """Read a table of regions.

    Args:
        path: CSV, TSV or Parquet file with the columns image, name (or label, finding), x0_px, y0_px, x1_px, y1_px and
            optionally kind; or `train.csv` of VinDr-CXR, `stage_2_train_labels.csv` of RSNA, `BBox_List_2017.csv` of
            ChestX-ray14. Rows of images without any finding are not returned.

    Returns:
        The rows.

    Raises:
        MissingFileError: the table does not exist.
        TableError: the table has other columns, or an invalid value.
    """
    columns = set(column_names(path))
    layouts: tuple[tuple[set[str], Callable[[Path], RegionTable]], ...] = (
        ({"image", *_CORNERS}, _read_plain),
        (set(VINDR_COLUMNS), _read_vindr),
        ({"patientId", "Target", *_RSNA_SIZES}, _read_rsna),
    )
    for needed, read in layouts:
        if needed <= columns:
            return read(path)
    if is_box_list(path):
        boxes = read_box_list(path)
        return _region_table(boxes, "Image Index", boxes["Finding Label"], _from_sizes(boxes, ("x", "y", "w", "h")))
    raise TableError(
        "the table has no columns of regions",
        where=path,
        expected=f"the columns image, name, {', '.join(_CORNERS)}; or those of VinDr-CXR, RSNA or ChestX-ray14",
        got=", ".join(filter(None, sorted(columns)))[:300] or "an empty file",
        hint="name the table of regions with --regions, or rename this file if it is another table",
    )


def _read_plain(path: Path) -> RegionTable:
    names = [name for name in _NAMES if name in column_names(path)]
    if not names:
        raise TableError("the table has no column of names", where=path, expected=f"one of {', '.join(_NAMES)}")
    table = read_table(path, ["image", names[0], *_CORNERS], ["kind"])
    table.refuse(np.isin(table["image"], MISSING), "a row has no image", "image")
    table.refuse(np.isin(table[names[0]], MISSING), f"a row has no {names[0]}", names[0])
    kind = np.char.lower(table["kind"]) if "kind" in table else np.full(len(table), "box")
    corners = np.stack([table.numbers(column) for column in _CORNERS], axis=1)
    return _region_table(table, "image", table[names[0]], corners, np.where(kind == "", "box", kind))


def read_vindr_table(path: Path) -> tuple[Table, Table]:
    """Read a table of VinDr-CXR.

    Args:
        path: `train.csv`, with the columns image_id, class_name, x_min, y_min, x_max, y_max and optionally class_id,
            rad_id.

    Returns:
        All rows; and those with a finding.

    Raises:
        MissingFileError: the table does not exist.
        TableError: a column is missing, or a row has no image or class.
    """
    table = read_table(path, VINDR_COLUMNS, ["class_id", "rad_id"])
    for column in ("image_id", "class_name"):
        table.refuse(np.isin(table[column], MISSING), f"a row has no {column}", column)
    return table, table.select(np.char.lower(table["class_name"]) != NO_FINDING)


def vindr_regions(findings: Table) -> RegionTable:
    """Return the boxes of VinDr-CXR's findings.

    Args:
        findings: rows with a finding, see :func:`read_vindr_table`.

    Returns:
        One box per row.

    Raises:
        TableError: a coordinate is missing or not a number.
    """
    corners = np.stack([findings.numbers(column) for column in _VINDR_CORNERS], axis=1)
    return _region_table(findings, "image_id", findings["class_name"], corners)


def _read_vindr(path: Path) -> RegionTable:
    return vindr_regions(read_vindr_table(path)[1])


def _read_rsna(path: Path) -> RegionTable:
    table = read_table(path, ["patientId", *_RSNA_SIZES, "Target"])
    table.refuse(np.isin(table["patientId"], MISSING), "a row has no patientId", "patientId")
    target = table.numbers("Target")
    table.refuse(~np.isin(target, (0, 1)), "Target is not 0 or 1", "Target")
    boxes = table.select(target == 1)
    return _region_table(boxes, "patientId", np.full(len(boxes), RSNA_FINDING), _from_sizes(boxes, _RSNA_SIZES))


def _from_sizes(table: Table, columns: tuple[str, ...]) -> Float[np.ndarray, "n 4"]:
    x, y, width, height = (table.numbers(column) for column in columns)
    for value, column in zip((width, height), columns[2:], strict=True):
        table.refuse(value < 0, f"{column} is negative", column)
    return np.stack([x, y, x + width, y + height], axis=1)


def _region_table(
    table: Table,
    image: str,
    name: Shaped[np.ndarray, " n"],
    corners: Float[np.ndarray, "n 4"],
    kind: Shaped[np.ndarray, " n"] | None = None,
) -> RegionTable:
    where = tuple(f"{table.path}:{row}" for row in table.row.tolist())
    return RegionTable(table[image], name, np.full(len(table), "box") if kind is None else kind, corners, where)
