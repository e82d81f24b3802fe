"""Tables on disk -> columns of text, and of numbers where asked; whatever is wrong is told with its file and row."""

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
    """Some columns of a table, as text.

    Attributes:
        path: the file.
        columns: name -> shape (n,) of str, stripped of blanks at both ends; "" where there is no value.
        row: shape (n,), where each record stands in the file: the header is row 1, the first record row 2. A record
            that spans several lines counts as one.
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
        """The records where `keep` is true, in the same order."""
        return Table(self.path, {name: values[keep] for name, values in self.columns.items()}, self.row[keep])

    def numbers(self, column: str, blank: bool = False) -> Float[np.ndarray, " n"]:
        """One column as finite numbers.

        Args:
            column: its name.
            blank: whether no value (or "nan") is admitted; it becomes NaN.

        Returns:
            Shape (n,), float64.

        Raises:
            TableError: names the first value that is no finite number.
        """
        text = self.columns[column]
        found = np.asarray(pd.to_numeric(text, errors="coerce"), dtype=np.float64)
        empty = np.isin(text, ("", "nan", "NaN"))
        wrong = ~np.isfinite(found)
        comma = "a decimal point, not a comma" if (np.char.find(text[wrong], ",") >= 0).any() else None
        self.refuse(wrong & ~empty, f"{column} is not a finite number", column, comma)
        if not blank:
            self.refuse(wrong, f"{column} is empty", column)
        return found

    def refuse(self, wrong: Bool[np.ndarray, " n"], what: str, column: str, expected: object = None) -> None:
        """Raise a TableError with file, row and value of the first record where `wrong` is true, if there is one."""
        if wrong.any():
            at = int(np.argmax(wrong))
            raise TableError(
                what,
                where=f"{self.path}:{self.row[at]}",
                expected=expected,
                got=f"{column} = {str(self.columns[column][at])!r}",
            )

    def repeats(self, *columns: str) -> Bool[np.ndarray, " n"]:
        """True for each record that equals an earlier one in the given columns, or in all."""
        chosen = {name: self.columns[name] for name in columns or self.columns}
        return pd.DataFrame(chosen).duplicated().to_numpy(dtype=bool)


def read_table(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> Table:
    """Read some columns of a CSV file (`.csv`, `.csv.gz`), one with tabs (`.tsv`) or a Parquet file (`.parquet`).

    Quoted line breaks, a byte-order mark, CRLF and blanks around column names are taken in stride.

    Args:
        path: the file.
        required: columns that must be there.
        optional: columns that are read when they are there.

    Raises:
        MissingFileError: there is no such file.
        TableError: a required column is missing or stands there twice, or the file is no table.
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
    path: Path, word: str, numbers: Sequence[str]
) -> Iterator[tuple[list[str], Int[np.ndarray, " n"], dict[str, Float[np.ndarray, " n"]]]]:
    """Read a column of words and columns of numbers of a large CSV file, some megabytes at a time.

    Args:
        path: `.csv` or `.csv.gz`.
        word: a column in which the same words come again and again.
        numbers: columns of numbers; no value becomes NaN.

    Yields:
        The distinct words of a chunk; which of them each row has; and the numbers by column.

    Raises:
        MissingFileError: there is no such file.
        TableError: a column is missing or stands there twice, or the file is no table, or a number is none.
    """
    names = _names(path, _header(path), [word, *numbers], [])
    kinds = {theirs: pa.string() if ours == word else pa.float64() for theirs, ours in names.items()}
    convert = pacsv.ConvertOptions(include_columns=list(names), column_types=kinds, null_values=["", "nan", "NaN"])
    options = pacsv.ReadOptions(use_threads=False, block_size=2**23)
    try:
        with pacsv.open_csv(path, options, pacsv.ParseOptions(delimiter=_delimiter(path)), convert) as reader:
            for batch in reader:
                columns = {names[theirs]: batch.column(theirs) for theirs in names}
                encoded = columns[word].fill_null("").dictionary_encode()
                words = [each.strip() for each in encoded.dictionary.to_pylist()]
                found = {name: columns[name].to_numpy(zero_copy_only=False) for name in numbers}
                yield words, encoded.indices.to_numpy().astype(np.int64), found
    except (pa.ArrowException, OSError, EOFError) as error:
        raise TableError("the table cannot be read", where=path, got=error) from error


def column_names(path: Path) -> list[str]:
    """Names of a table's columns, without blanks at both ends; one empty name for an empty file.

    Raises:
        MissingFileError: there is no such file.
        TableError: the file is no table.
    """
    return [name.strip() for name in _header(path)] or [""]


def _header(path: Path) -> list[str]:
    if not path.is_file():
        raise MissingFileError("there is no such table", where=path)
    if instead := sniff_wrong_content(path, allowed=_GZIP if path.suffix == ".gz" else b""):
        raise TableError(f"this is no table but {instead.what}", where=path, hint=instead.hint)
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        if path.suffix == ".parquet":
            return pq.read_schema(path).names
        with opened(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as file:
            return next(csv.reader(file, delimiter=_delimiter(path)), [])
    except gzip.BadGzipFile as error:
        hint = "let its name end in .csv if it was unpacked already; or download it again"
        raise TableError("the table cannot be read", where=path, got=error, hint=hint) from error
    except (pa.ArrowException, csv.Error, OSError, EOFError) as error:
        raise TableError("the table cannot be read", where=path, got=error) from error


def _delimiter(path: Path) -> str:
    return "\t" if path.suffix == ".tsv" else ","


def _names(path: Path, header: list[str], required: Sequence[str], optional: Sequence[str]) -> dict[str, str]:
    """Name in the file -> name asked for, in the order asked for."""
    stripped = [name.strip() for name in header]
    missing = [name for name in required if name not in stripped]
    if missing:
        raise TableError(
            f"the table has no column {', '.join(missing)}",
            where=path,
            expected=", ".join(required),
            got=", ".join(stripped) or "an empty file",
            hint=_separated_otherwise(stripped, required),
        )
    names = [name for name in (*required, *optional) if name in stripped]
    twice = [name for name in names if stripped.count(name) > 1]
    if twice:
        raise TableError(f"the table has more than one column {', '.join(twice)}", where=path)
    return {header[stripped.index(name)]: name for name in names}


def _separated_otherwise(header: Sequence[str], required: Sequence[str]) -> str | None:
    """What to do about a header that would do if it were parted at semicolons or tabs."""
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if any(part.strip(' "') in required for each in header if mark in each for part in each.split(mark)):
            return f"the columns are parted by {name}: save the table with commas"
    return None


def _read_csv(path: Path, columns: list[str]) -> pa.Table:
    try:
        table = pacsv.read_csv(
            path,
            # A single thread counts the rows, so that the message names a broken one.
            read_options=pacsv.ReadOptions(use_threads=False),
            parse_options=pacsv.ParseOptions(delimiter=_delimiter(path), newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(
                include_columns=columns, column_types=dict.fromkeys(columns, pa.string())
            ),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV file" not in str(error):
            raise
        # A header alone, whose line has no end; one that has an end is no error.
        table = pa.table({column: pa.array([], pa.string()) for column in columns})
    return table


def _text(column: pa.ChunkedArray) -> Shaped[np.ndarray, " n"]:
    return np.char.strip(np.asarray(column.cast(pa.string()).fill_null("").to_pylist(), dtype=np.str_))
