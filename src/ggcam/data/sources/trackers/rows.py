"""Rows of a table of samples or fixations, read block by block into numbers and codes of text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from ggcam.data.sources.time_units import spread_repeats
from ggcam.data.sources.trackers.recording import MAX_POSITION, Recording
from ggcam.data.tables import Table, read_blocks
from ggcam.errors import TableError, join_limited

MAX_TIME_S = 1e11
"""Larger times are no times: some 3000 years."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Columns of a table.

    Attributes:
        path: the file.
        row: shape (n,), row in the file.
        numbers: name -> shape (n,); NaN where empty.
        codes: name -> shape (n,), index into `texts`.
        texts: name -> the distinct texts.
    """

    path: Path
    row: Int[np.ndarray, " n"]
    numbers: dict[str, Float[np.ndarray, " n"]]
    codes: dict[str, Int[np.ndarray, " n"]]
    texts: dict[str, list[str]]

    def __len__(self) -> int:
        return len(self.row)

    def select(self, keep: Bool[np.ndarray, " n"] | Int[np.ndarray, " kept"]) -> Rows:
        """Return the rows where a mask is true, or with the given indices."""
        numbers = {name: values[keep] for name, values in self.numbers.items()}
        codes = {name: values[keep] for name, values in self.codes.items()}
        return Rows(self.path, self.row[keep], numbers, codes, self.texts)

    def equals(self, name: str, *texts: str) -> Bool[np.ndarray, " n"]:
        """Return where a column has one of some texts."""
        wanted = [index for index, text in enumerate(self.texts[name]) if text in texts]
        return np.isin(self.codes[name], wanted)

    def refuse(self, invalid: Bool[np.ndarray, " n"], what: str, name: str, hint: str | None = None) -> None:
        """Raise an error that names the first invalid row and its value."""
        if invalid.any():
            at = int(np.argmax(invalid))
            got = f"{self.numbers[name][at]:g}"
            raise TableError(what, where=f"{self.path}:{self.row[at]}", got=f"{name} = {got}", hint=hint)

    def recordings(self, by: Sequence[str], **attributes: Any) -> Iterator[Recording]:
        """Group the rows by image, reader and session, in order of their first rows; each sorted by time.

        Args:
            by: which of the texts "image", "reader" and "session" there are.
            attributes: further attributes of each recording.

        Yields:
            Samples, or fixations if there is a column "duration_s".
        """
        check_positions(self.path, self.row, self.numbers["x"], self.numbers["y"])
        self.refuse(~(np.abs(self.numbers["time_s"]) <= MAX_TIME_S), "a time is empty or impossible", "time_s")
        key = np.zeros(len(self), dtype=np.int64)
        for name in by:
            key = key * len(self.texts[name]) + self.codes[name]
        distinct, first = np.unique(key, return_index=True)
        for which in np.argsort(first, kind="stable").tolist():
            rows = np.flatnonzero(key == distinct[which])
            if (np.diff(self.numbers["time_s"][rows]) < 0).any():
                rows = rows[np.argsort(self.numbers["time_s"][rows], kind="stable")]
            named = {name: self.texts[name][self.codes[name][first[which]]] for name in by}
            time_s, duration_s = self.numbers["time_s"][rows], self.numbers.get("duration_s")
            yield Recording(
                path=self.path,
                image=named.get("image") or own_name(self.path),
                reader=named.get("reader") or "1",
                session=named.get("session", ""),
                time_s=spread_repeats(time_s) if duration_s is None else time_s,
                x=self.numbers["x"][rows],
                y=self.numbers["y"][rows],
                row=self.row[rows],
                duration_s=None if duration_s is None else duration_s[rows],
                **attributes,
            )


def read_rows(
    path: Path,
    numbers: Mapping[str, str],
    texts: Mapping[str, str | None],
    max_bytes: int,
    keep: Callable[[Table], Bool[np.ndarray, " n"]] | None = None,
) -> Rows:
    """Read a table of samples or fixations.

    Args:
        path: the file.
        numbers: name -> required column of numbers.
        texts: name -> column of text, or None for none; a column that the file lacks is left out, too.
        max_bytes: maximum size of a compressed file after decompression.
        keep: which rows to keep, from a block of the table; the others are not parsed.

    Returns:
        The kept rows.
    """
    required = list(dict.fromkeys(numbers.values()))
    optional = [column for column in dict.fromkeys(texts.values()) if column and column not in required]
    codes_of: dict[str, dict[str, int]] = {name: {} for name in texts}
    parts: list[Rows] = []
    for block in read_blocks(path, required, optional, max_bytes):
        table = block.select(keep(block)) if keep else block
        found = {name: _decimal(table, column) for name, column in numbers.items()}
        codes = {
            name: _encode(table[column], codes_of[name]) for name, column in texts.items() if column and column in table
        }
        parts.append(Rows(path, table.row, found, codes, {}))
    names = list(parts[0].codes)
    row = np.concatenate([part.row for part in parts])
    # A part gives up each column once it is joined, so that only one column is in memory twice.
    joined = {name: np.concatenate([part.numbers.pop(name) for part in parts]) for name in numbers}
    codes = {name: np.concatenate([part.codes.pop(name) for part in parts]) for name in names}
    return Rows(path, row, joined, codes, {name: list(codes_of[name]) for name in names})


def check_positions(
    path: Path, row: Int[np.ndarray, " n"], x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]
) -> None:
    """Refuse positions that are no positions.

    Args:
        path: the file.
        row: row or line of each position.
        x: positions; NaN where the eye was lost.
        y: positions; NaN where the eye was lost.

    Raises:
        TableError: a position is larger than `MAX_POSITION`.
    """
    invalid = (np.abs(x) > MAX_POSITION) | (np.abs(y) > MAX_POSITION)
    if invalid.any():
        at = int(np.argmax(invalid))
        raise TableError(
            f"{int(invalid.sum()):,} positions are impossible",
            where=f"{path}:{row[at]}",
            expected=f"-{MAX_POSITION:g} to {MAX_POSITION:g}, or nothing where the tracker lost the eye",
            got=f"x = {x[at]:g}, y = {y[at]:g}",
            hint="remove the row, or leave its position empty",
        )


def find_column(names: Sequence[str], *prefixes: str) -> str | None:
    """Find a column by its letters, whatever its case, spaces and units.

    Args:
        names: names of the columns.
        prefixes: beginnings of the letters in lower case, the preferred one first.

    Returns:
        The first name that has the first prefix that any name has; None for none.
    """
    letters = {name: re.sub(r"[^a-z]", "", name.lower()) for name in names}
    return next((name for prefix in prefixes for name in names if letters[name].startswith(prefix)), None)


def require_column(path: Path, names: Sequence[str], *prefixes: str) -> str:
    """Find a column as :func:`find_column` does.

    Args:
        path: the file, for messages.
        names: names of the columns.
        prefixes: beginnings of the letters in lower case.

    Returns:
        The name.

    Raises:
        TableError: there is none.
    """
    found = find_column(names, *prefixes)
    if found is None:
        raise TableError(f"the table has no column like {prefixes[0]}", where=path, got=join_limited(names, 12))
    return found


def own_name(path: Path) -> str:
    """Return the name of a file up to its first dot after a letter, without the endings of tables and compression.

    Args:
        path: the file.

    Returns:
        Such as "img.1" for "img.1.csv.gz".
    """
    name = path.name
    while (suffix := Path(name).suffix.lower()) in _ENDINGS:
        name = name[: -len(suffix)]
    return name


_ENDINGS = (".asc", ".csv", ".tsv", ".txt", ".tab", ".dat", ".parquet", ".gz", ".bz2", ".xz")


def _decimal(table: Table, column: str) -> Float[np.ndarray, " n"]:
    """Numbers with a decimal point, or with a decimal comma as on many European systems."""
    text = np.char.replace(table[column], ",", ".") if np.char.count(table[column], ",").any() else table[column]
    return Table(table.path, {column: text}, table.row).numbers(column, allow_blank=True)


def _encode(values: np.ndarray, codes: dict[str, int]) -> Int[np.ndarray, " n"]:
    """Replace texts by numbers, and give new numbers to new texts."""
    distinct, index = np.unique(values, return_inverse=True)
    numbers = np.array([codes.setdefault(text, len(codes)) for text in distinct.tolist()], dtype=np.int32)
    return numbers[index.reshape(-1)] if len(values) else np.empty(0, dtype=np.int32)
