"""Table files -> columns of text or numbers; errors name the file and the row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from jaxtyping import Bool, Float, Int, Shaped

from ggcam.data.table_files import (
    MAX_UNPACKED_BYTES,
    compression,
    open_unpacked,
    raise_unreadable,
    read_header,
    text_encoding,
)
from ggcam.errors import TableError, join_limited

MISSING = ("", "nan", "NaN", "NAN", "None", "NA", "N/A", "n/a", "<NA>", "NaT", "null", "NULL")
"""Texts that stand for a missing value, as pandas, R and SQL write it."""

_SMALL_BYTES = 2**23
"""Tables below this size are read at once."""


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
            allow_blank: whether missing values (see `MISSING`) are allowed; they become NaN.

        Returns:
            Shape (n,), float64.

        Raises:
            TableError: a value is not a finite number; names the first one.
        """
        text = self.columns[column]
        found = np.asarray(pd.to_numeric(text, errors="coerce"), dtype=np.float64)
        empty = np.isin(text, MISSING)
        invalid = ~np.isfinite(found)
        comma = "a decimal point, not a comma" if (np.char.find(text[invalid], ",") >= 0).any() else None
        self.refuse(invalid & ~empty, f"{column} is not a finite number", column, comma)
        if not allow_blank:
            self.refuse(invalid, f"{column} is empty", column)
        return found

    def refuse(
        self,
        invalid: Bool[np.ndarray, " n"],
        what: str,
        column: str,
        expected: object = None,
        hint: str | None = None,
    ) -> None:
        """Raise an error if any record is invalid.

        Args:
            invalid: true for each invalid record, shape (n,).
            what: what the problem is.
            column: column whose value the message shows.
            expected: what would be correct.
            hint: how to fix it, in the imperative.

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
                hint=hint,
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


def read_table(
    path: Path, required: Sequence[str], optional: Sequence[str] = (), max_bytes: int = MAX_UNPACKED_BYTES
) -> Table:
    """Read columns of a table of text, plain or compressed (gzip, bzip2, xz), or of a Parquet file.

    The separator (comma, tab, semicolon) and the text encoding are recognised from the content. Quoted line breaks, a
    byte-order mark, CRLF and whitespace around column names are allowed.

    Args:
        path: table file.
        required: columns that must exist.
        optional: columns that are read if they exist.
        max_bytes: maximum size of a compressed file after decompression.

    Returns:
        The columns as text.

    Raises:
        MissingFileError: the file does not exist.
        TableError: a required column is missing, a column exists twice, or the file is not a table.
    """
    names, separator = _requested_names(path, required, optional)
    if is_parquet(path):
        columns, n_rows = _read_parquet(path, names)
        return Table(path, columns, np.arange(n_rows) + 2)
    encoding = text_encoding(path)
    # A single thread counts the rows, so that an error names the row.
    read = pacsv.ReadOptions(use_threads=False, encoding=encoding)
    try:
        with open_unpacked(path, max_bytes) as file:
            raw = pacsv.read_csv(file, read, _parse_options(separator), _as_text(names))
    except (pa.ArrowException, UnicodeError) as error:
        if "Empty CSV file" not in str(error):
            raise_unreadable(path, error)
        # A header without a final newline and without records; with a newline it is not an error.
        raw = pa.table({column: pa.array([], pa.string()) for column in names})
    columns = {name: _text(raw[column]) for column, name in names.items()}
    return Table(path, columns, np.arange(raw.num_rows) + 2)


def read_blocks(
    path: Path, required: Sequence[str], optional: Sequence[str] = (), max_bytes: int = MAX_UNPACKED_BYTES
) -> Iterator[Table]:
    """Read a large table in blocks of several megabytes; see :func:`read_table`.

    Args:
        path: table file.
        required: columns that must exist.
        optional: columns that are read if they exist.
        max_bytes: maximum size of a compressed file after decompression.

    Yields:
        Consecutive rows; one table without rows for a table without records.

    Raises:
        MissingFileError: the file does not exist.
        TableError: a required column is missing, a column exists twice, or the file is not a table.
    """
    names, separator = _requested_names(path, required, optional)
    if is_parquet(path) or (path.stat().st_size < _SMALL_BYTES and compression(path) is None):
        yield read_table(path, required, optional, max_bytes)
        return
    options = pacsv.ReadOptions(use_threads=False, block_size=2**23, encoding=text_encoding(path))
    row = 2
    try:
        with (
            open_unpacked(path, max_bytes) as file,
            pacsv.open_csv(file, options, _parse_options(separator), _as_text(names)) as reader,
        ):
            for batch in reader:
                columns = {name: _text(pa.chunked_array([batch.column(raw)])) for raw, name in names.items()}
                yield Table(path, columns, np.arange(row, row + batch.num_rows))
                row += batch.num_rows
    except (pa.ArrowException, UnicodeError) as error:
        if "Empty CSV file" not in str(error):
            raise_unreadable(path, error)
    if row == 2:
        yield Table(path, {name: np.empty(0, dtype=np.str_) for name in names.values()}, np.empty(0, dtype=np.int64))


def read_chunks(
    path: Path, category: str, numbers: Sequence[str]
) -> Iterator[tuple[list[str], Int[np.ndarray, " n"], dict[str, Float[np.ndarray, " n"]]]]:
    """Read a column of categories and columns of numbers of a large text table in chunks of several megabytes.

    Args:
        path: table of text, plain or compressed.
        category: column with few distinct texts.
        numbers: columns of numbers; missing values become NaN.

    Yields:
        The distinct categories of a chunk; the index of each row's category; and name -> numbers of each row.

    Raises:
        MissingFileError: the file does not exist.
        TableError: a column is missing or exists twice, the file is not a table, or a value is not a number.
    """
    names, separator = _requested_names(path, [category, *numbers], [])
    types = {raw: pa.string() if name == category else pa.float64() for raw, name in names.items()}
    convert = pacsv.ConvertOptions(include_columns=list(names), column_types=types, null_values=["", "nan", "NaN"])
    options = pacsv.ReadOptions(use_threads=False, block_size=2**23, encoding=text_encoding(path))
    try:
        with (
            open_unpacked(path) as file,
            pacsv.open_csv(file, options, pacsv.ParseOptions(delimiter=separator), convert) as reader,
        ):
            for batch in reader:
                columns = {name: batch.column(raw) for raw, name in names.items()}
                encoded = columns[category].fill_null("").dictionary_encode()
                categories = [text.strip() for text in encoded.dictionary.to_pylist()]
                found = {name: columns[name].to_numpy(zero_copy_only=False) for name in numbers}
                yield categories, encoded.indices.to_numpy().astype(np.int64), found
    except (pa.ArrowException, UnicodeError) as error:
        raise_unreadable(path, error)


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
    header, _ = _header(path)
    return [name.strip() for name in header] or [""]


def is_parquet(path: Path) -> bool:
    """Return whether a file is in the Parquet format, by its name.

    Args:
        path: the file.

    Returns:
        True for the suffix `.parquet`, in any case.
    """
    return path.suffix.lower() == ".parquet"


def _header(path: Path) -> tuple[list[str], str]:
    """Names of the columns, and the separator; a Parquet file has none."""
    if not is_parquet(path):
        return read_header(path)
    with open_unpacked(path):  # refuses a missing file and what is no table
        pass
    try:
        return pq.read_schema(path).names, ","
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise_unreadable(path, error)


def _requested_names(path: Path, required: Sequence[str], optional: Sequence[str]) -> tuple[dict[str, str], str]:
    """Map names in the file to the requested names, in the order of the request; and the separator."""
    header, separator = _header(path)
    stripped = [name.strip() for name in header]
    missing = [name for name in required if name not in stripped]
    if missing:
        raise TableError(
            f"the table has no column {', '.join(missing)}",
            where=path,
            expected=", ".join(required),
            got=join_limited(stripped, 60)[:2000] or "an empty file",
        )
    names = [name for name in (*required, *optional) if name in stripped]
    repeated = [name for name in names if stripped.count(name) > 1]
    if repeated:
        raise TableError(f"the table has more than one column {', '.join(repeated)}", where=path)
    return {header[stripped.index(name)]: name for name in names}, separator


def _read_parquet(path: Path, names: Mapping[str, str]) -> tuple[dict[str, Shaped[np.ndarray, " n"]], int]:
    try:
        raw = pq.read_table(path, columns=list(names))
        return {name: _text(raw[column]) for column, name in names.items()}, raw.num_rows
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise_unreadable(path, error)


def _parse_options(separator: str) -> pacsv.ParseOptions:
    return pacsv.ParseOptions(delimiter=separator, newlines_in_values=True)


def _as_text(names: Mapping[str, str]) -> pacsv.ConvertOptions:
    return pacsv.ConvertOptions(include_columns=list(names), column_types=dict.fromkeys(names, pa.string()))


def _text(column: pa.ChunkedArray) -> Shaped[np.ndarray, " n"]:
    return np.char.strip(np.asarray(column.cast(pa.string()).fill_null("").to_pylist(), dtype=np.str_))
