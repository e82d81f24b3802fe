"""Table files -> columns of text or numbers; errors name the file and the row."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from jaxtyping import Bool, Float, Int, Shaped

from ggcam.errors import MissingFileError, TableError
from ggcam.utils.sniff import sniff_wrong_content

_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of a table, as text.

    Attributes:
        path: table file.
        columns: name -> str of shape (n,), without surrounding whitespace; "" for no value.
        row: shape (n,), row of each record in the file: the header is row 1, the first record row 2. A record that
            spans several lines counts as one row.

    Example:
        >>> table = Table(Path("t.csv"), {"x": np.array(["1", "2.5", ""])}, np.array([2, 3, 4]))
        >>> table.numbers("x", allow_blank=True)
        array([1. , 2.5, nan])
    """

    path: Path
    columns: Mapping[str, Shaped[np.ndarray, " n"]]
    row: Int[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.row)

    def __contains__(self, column: str) -> bool:
        return column in self.columns

    def __getitem__(self, column: str) -> Shaped[np.ndarray, " n"]:
        return self.columns[column]

    def select(self, keep: Bool[np.ndarray, " n"]) -> Table:
        """Select records and keep their order.

        Args:
            keep: true for each record to keep, shape (n,).

        Returns:
            The selected records.
        """
        return Table(self.path, {name: values[keep] for name, values in self.columns.items()}, self.row[keep])

    def numbers(self, column: str, allow_blank: bool = False) -> Float[np.ndarray, " n"]:
        """Parse a column as finite numbers.

        Args:
            column: name of the column.
            allow_blank: whether missing values (or "nan") are allowed; they become NaN.

        Returns:
            Shape (n,), float64.

        Raises:
            TableError: a value is not a finite number; names the first one.
        """
        text = self.columns[column]
        found = np.asarray(pd.to_numeric(text, errors="coerce"), dtype=np.float64)
        empty = np.isin(text, ("", "nan", "NaN"))
        invalid = ~np.isfinite(found)
        comma = "a decimal point, not a comma" if (np.char.find(text[invalid], ",") >= 0).any() else None
        self.refuse(invalid & ~empty, f"{column} is not a finite number", column, comma)
        if not allow_blank:
            self.refuse(invalid, f"{column} is empty", column)
        return found

    def refuse(self, invalid: Bool[np.ndarray, " n"], what: str, column: str, expected: object = None) -> None:
        """Raise an error if any record is invalid.

        Args:
            invalid: true for each invalid record, shape (n,).
            what: what the problem is.
            column: column whose value the message shows.
            expected: what would be correct.

        Raises:
            TableError: a record is invalid; with file, row and value of the first one.
        """
        if invalid.any():
            at = int(np.argmax(invalid))
            raise TableError(
                what,
                where=f"{self.path}:{self.row[at]}",
                expected=expected,
                got=f"{column} = {str(self.columns[column][at])!r}",
            )

    def repeats(self, *columns: str) -> Bool[np.ndarray, " n"]:
        """Find records that repeat an earlier one.

        Args:
            columns: names of the columns to compare; all if none are given.

        Returns:
            True for each record that equals an earlier one, shape (n,).
        """
        chosen = {name: self.columns[name] for name in columns or self.columns}
        return pd.DataFrame(chosen).duplicated().to_numpy(dtype=bool)


def read_table(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> Table:
    """Read columns of a CSV (`.csv`, `.csv.gz`), TSV (`.tsv`) or Parquet (`.parquet`) file.

    Quoted line breaks, a byte-order mark, CRLF and whitespace around column names are allowed.

    Args:
        path: table file.
        required: columns that must exist.
        optional: columns that are read if they exist.

    Returns:
        The columns as text.

    Raises:
        MissingFileError: the file does not exist.
        TableError: a required column is missing, a column exists twice, or the file is not a table.
    """
    header = _header(path)
    names = _names(path, header, required, optional)
    try:
        parquet = path.suffix == ".parquet"
        raw = pq.read_table(path, columns=list(names)) if parquet else _read_csv(path, list(names))
        columns = {name: _text(raw[column]) for column, name in names.items()}
    except (pa.ArrowException, csv.Error, OSError, EOFError) as error:
        raise TableError("the table cannot be read", where=path, got=error) from error
    return Table(path, columns, np.arange(raw.num_rows) + 2)


def read_chunks(
    path: Path, category: str, numbers: Sequence[str]
) -> Iterator[tuple[list[str], Int[np.ndarray, " n"], dict[str, Float[np.ndarray, " n"]]]]:
    """Read a column of categories and columns of numbers of a large CSV file in chunks of several megabytes.

    Args:
        path: `.csv` or `.csv.gz` file.
        category: column with few distinct texts.
        numbers: columns of numbers; missing values become NaN.

    Yields:
        The distinct categories of a chunk; the index of each row's category; and name -> numbers of each row.

    Raises:
        MissingFileError: the file does not exist.
        TableError: a column is missing or exists twice, the file is not a table, or a value is not a number.
    """
    names = _names(path, _header(path), [category, *numbers], [])
    types = {raw: pa.string() if name == category else pa.float64() for raw, name in names.items()}
    convert = pacsv.ConvertOptions(include_columns=list(names), column_types=types, null_values=["", "nan", "NaN"])
    options = pacsv.ReadOptions(use_threads=False, block_size=2**23)
    try:
        with pacsv.open_csv(path, options, pacsv.ParseOptions(delimiter=_delimiter(path)), convert) as reader:
            for batch in reader:
                columns = {name: batch.column(raw) for raw, name in names.items()}
                encoded = columns[category].fill_null("").dictionary_encode()
                categories = [text.strip() for text in encoded.dictionary.to_pylist()]
                found = {name: columns[name].to_numpy(zero_copy_only=False) for name in numbers}
                yield categories, encoded.indices.to_numpy().astype(np.int64), found
    except (pa.ArrowException, OSError, EOFError) as error:
        raise TableError("the table cannot be read", where=path, got=error) from error


def column_names(path: Path) -> list[str]:
    """Read the names of a table's columns.

    Args:
        path: table file.

    Returns:
        Names without surrounding whitespace; one empty name for an empty file.

    Raises:
        MissingFileError: the file does not exist.
        TableError: the file is not a table.
    """
    return [name.strip() for name in _header(path)] or [""]


def _header(path: Path) -> list[str]:
    if not path.is_file():
        raise MissingFileError("the table does not exist", where=path)
    if instead := sniff_wrong_content(path, allowed=_GZIP if path.suffix == ".gz" else b""):
        raise TableError("not a table", where=path, got=instead.what, hint=instead.hint)
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        if path.suffix == ".parquet":
            return pq.read_schema(path).names
        with opened(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as file:
            return next(csv.reader(file, delimiter=_delimiter(path)), [])
    except gzip.BadGzipFile as error:
        hint = "rename it to end in .csv if it is already unpacked; or download it again"
        raise TableError("the table cannot be read", where=path, got=error, hint=hint) from error
    except (pa.ArrowException, csv.Error, OSError, EOFError) as error:
        raise TableError("the table cannot be read", where=path, got=error) from error


def _delimiter(path: Path) -> str:
    return "\t" if path.suffix == ".tsv" else ","


def _names(path: Path, header: list[str], required: Sequence[str], optional: Sequence[str]) -> dict[str, str]:
    """Map names in the file to the requested names, in the order of the request."""
    stripped = [name.strip() for name in header]
    missing = [name for name in required if name not in stripped]
    if missing:
        raise TableError(
            f"the table has no column {', '.join(missing)}",
            where=path,
            expected=", ".join(required),
            got=", ".join(stripped) or "an empty file",
            hint=_separator_hint(stripped, required),
        )
    names = [name for name in (*required, *optional) if name in stripped]
    repeated = [name for name in names if stripped.count(name) > 1]
    if repeated:
        raise TableError(f"the table has more than one column {', '.join(repeated)}", where=path)
    return {header[stripped.index(name)]: name for name in names}


def _separator_hint(header: Sequence[str], required: Sequence[str]) -> str | None:
    """Return a hint if the header would have the columns with another separator."""
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if any(part.strip(' "') in required for each in header if mark in each for part in each.split(mark)):
            return f"the columns are separated by {name}; save the table with commas"
    return None


def _read_csv(path: Path, columns: list[str]) -> pa.Table:
    try:
        table = pacsv.read_csv(
            path,
            # A single thread counts the rows, so that an error names the row.
            read_options=pacsv.ReadOptions(use_threads=False),
            parse_options=pacsv.ParseOptions(delimiter=_delimiter(path), newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(
                include_columns=columns, column_types=dict.fromkeys(columns, pa.string())
            ),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV file" not in str(error):
            raise
        # A header without a final newline and without records; with a newline it is not an error.
        table = pa.table({column: pa.array([], pa.string()) for column in columns})
    return table


def _text(column: pa.ChunkedArray) -> Shaped[np.ndarray, " n"]:
    return np.char.strip(np.asarray(column.cast(pa.string()).fill_null("").to_pylist(), dtype=np.str_))
