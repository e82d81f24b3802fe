"""The tables of NIH ChestX-ray14, whose headers contain commas: `Data_Entry_2017*.csv` and `BBox_List_2017.csv`."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from ggcam.data.table_files import open_unpacked, raise_unreadable, read_header, text_encoding
from ggcam.data.tables import Table, column_names
from ggcam.errors import TableError

ENTRY_COLUMNS = ("Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age", "Sex", "View Position")
"""First columns of the table of entries, which come before those with commas; "Sex" is called Patient Gender or Patient
Sex."""

BOX_COLUMNS = ("Image Index", "Finding Label", "x", "y", "w", "h")
"""Columns of the list of boxes, whose header is `Bbox [x,y,w,h]`, quoted or not."""


def read_entries(path: Path) -> Table:
    """Read the first columns of `Data_Entry_2017.csv` or `Data_Entry_2017_v2020.csv`.

    Args:
        path: the table.

    Returns:
        The columns `ENTRY_COLUMNS`.

    Raises:
        MissingFileError: the file does not exist.
        TableError: the header is another, or a row is too short.
    """
    return _read_by_position(path, ENTRY_COLUMNS, {0: "Image Index", 1: "Finding Labels", 3: "Patient ID"})


def is_box_list(path: Path) -> bool:
    """Return whether a table has the header of `BBox_List_2017.csv`.

    Args:
        path: the table.

    Returns:
        True if :func:`read_box_list` can read it.
    """
    names = column_names(path)
    return names[:2] == list(BOX_COLUMNS[:2]) and names[2:3] != [] and names[2].startswith("Bbox")


def read_box_list(path: Path) -> Table:
    """Read `BBox_List_2017.csv`.

    Args:
        path: the table.

    Returns:
        The columns `BOX_COLUMNS`.

    Raises:
        MissingFileError: the file does not exist.
        TableError: the header is another, or a row is too short.
    """
    return _read_by_position(path, BOX_COLUMNS, dict(enumerate(BOX_COLUMNS[:2])))


def _read_by_position(path: Path, columns: tuple[str, ...], expected: dict[int, str]) -> Table:
    """Read the first columns of a table whose header may have fewer or more fields than its rows."""
    _, separator = read_header(path)
    encoding = text_encoding(path)
    try:
        with open_unpacked(path) as file:
            text = file.read().decode("utf-8-sig" if encoding == "utf-8" else encoding)
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except (csv.Error, UnicodeError) as error:
        raise_unreadable(path, error)
    header = [name.strip() for name in rows[0]] if rows else []
    missing = [name for at, name in expected.items() if header[at : at + 1] != [name]]
    if missing:
        raise TableError(
            f"the table has no column {', '.join(missing)}",
            where=path,
            expected=", ".join(expected.values()),
            got=", ".join(header)[:300] or "an empty file",
        )
    numbered = [(number, row) for number, row in enumerate(rows[1:], start=2) if any(row)]
    for number, row in numbered:
        if len(row) < len(columns):
            raise TableError(
                "the row is too short",
                where=f"{path}:{number}",
                expected=f"{len(columns)} fields or more",
                got=len(row),
            )
    fields = np.array([[field.strip() for field in row[: len(columns)]] for _, row in numbered], dtype=np.str_)
    by_name = dict(zip(columns, fields.reshape(-1, len(columns)).T, strict=True))
    return Table(path, by_name, np.array([number for number, _ in numbered], dtype=np.int64))
