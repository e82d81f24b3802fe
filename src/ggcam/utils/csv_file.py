"""CSV files that grow row by row, and what an interruption leaves of them."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ggcam.utils.atomic import atomic_write, naming_place
from ggcam.utils.csv_text import csv_cell


class GrowingCsv:
    r"""A CSV file to which rows are appended; each call of `append` leaves its rows on the disk.

    The file is created with its first rows. Text that a spreadsheet would take for a formula is escaped, see
    :func:`ggcam.utils.csv_text.csv_cell`.

    Args:
        path: the file; an earlier one is replaced.
        columns: names of the columns.
        rows: the first rows: column -> value.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "table.csv"
        >>> table = GrowingCsv(path, ("name", "value"))
        >>> table.append([{"name": "a", "value": 1}])
        >>> table.append([{"name": "b"}])
        >>> path.read_text()
        'name,value\na,1\nb,\n'
    """

    def __init__(self, path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, object]] = ()):
        self.path, self.columns = path, tuple(columns)
        if rows:
            self._create(rows)
        else:
            path.unlink(missing_ok=True)

    def append(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Append rows, and wait until they are on the disk.

        Args:
            rows: column -> value; a missing value is left empty.

        Raises:
            OSError: the file cannot be written; `filename` is its path.
        """
        if not rows:
            return
        if not self.path.exists():
            self._create(rows)
            return
        with naming_place(self.path), self.path.open("ab") as file:
            file.write(_lines(self._cells(rows)).encode())
            file.flush()
            os.fsync(file.fileno())

    def _create(self, rows: Sequence[Mapping[str, object]]) -> None:
        atomic_write(self.path, _lines([self.columns, *self._cells(rows)]))

    def _cells(self, rows: Sequence[Mapping[str, object]]) -> list[list[object]]:
        return [[row.get(column, "") for column in self.columns] for row in rows]


def read_whole_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read the rows of a file of :class:`GrowingCsv` that were written as a whole.

    Args:
        path: the file.
        columns: names of the columns.

    Returns:
        Column -> text as in the file. Without a row that an interruption has cut off, and those behind it; empty if the
        file does not exist, is damaged, or has other columns.
    """
    try:
        content = path.read_bytes().decode(errors="replace")  # the last character may be cut off as well
    except FileNotFoundError:
        return []
    rows: list[list[str]] = []
    try:
        rows.extend(csv.reader(io.StringIO(content, newline=""), strict=True))
    except csv.Error:  # a quotation mark without its counterpart: the rows before it are whole
        pass
    else:
        if not content.endswith("\n"):
            rows = rows[:-1]
    if not rows or rows[0] != [str(csv_cell(name)) for name in columns]:
        return []
    return [dict(zip(columns, row, strict=True)) for row in rows[1:] if len(row) == len(columns)]


def _lines(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([csv_cell(value) for value in row] for row in rows)
    return text.getvalue()
