"""Parquet files of ggcam: checked against a schema where they are opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ggcam.data.table_files import MAX_COLUMNS
from ggcam.errors import GGCamError, MissingFileError, TableError, join_limited

MAX_CELLS = 250_000_000
"""Maximum number of values in a table, 2 GB of numbers."""


def open_parquet(path: Path, error: type[GGCamError] = TableError, hint: str | None = None) -> pq.ParquetFile:
    """Open a Parquet file, and check its size before its content is read.

    Args:
        path: the file.
        error: type of the error about a damaged file.
        hint: how to get an undamaged file, in the imperative.

    Returns:
        The file, of which only names, types and sizes have been read.

    Raises:
        MissingFileError: the file does not exist.
        GGCamError: of the type `error`; the file is not in the Parquet format, or too large.
    """
    if not path.is_file():
        raise MissingFileError("the table is missing", where=path, hint=hint)
    try:
        file = pq.ParquetFile(path)
        rows, columns = file.metadata.num_rows, len(file.schema_arrow.names)
    except (pa.ArrowException, OSError, ValueError, UnicodeError) as cause:
        raise damaged_parquet(path, cause, error, hint) from None
    if columns > MAX_COLUMNS or rows * columns > MAX_CELLS:
        raise error(
            "the table is too large",
            where=path,
            expected=f"at most {MAX_COLUMNS:,} columns, and at most {MAX_CELLS:,} values",
            got=f"{columns:,} columns, {rows:,} rows",
            hint=hint,
        )
    return file


def damaged_parquet(
    path: Path, cause: BaseException, error: type[GGCamError] = TableError, hint: str | None = None
) -> GGCamError:
    """Return the error about a damaged Parquet file.

    Args:
        path: the file.
        cause: what the decoder reported.
        error: type of the error.
        hint: how to get an undamaged file, in the imperative.

    Returns:
        The error, to be raised.
    """
    reason = (str(cause) or type(cause).__name__).splitlines()[0]
    return error("the file is damaged, or not a Parquet table", where=path, got=reason[:300], hint=hint)


def read_parquet(
    path: Path,
    schema: pa.Schema | Callable[[list[str]], pa.Schema],
    error: type[GGCamError] = TableError,
    hint: str | None = None,
) -> pa.Table:
    """Read the columns of a schema from a Parquet file.

    Args:
        path: the file.
        schema: names and types of the columns; columns that are not nullable have no nulls. Or a function that returns
            it, given the names of the columns in the file.
        error: type of the error about a damaged file.
        hint: how to get an undamaged file, in the imperative.

    Returns:
        The table, with exactly the columns of the schema, in its order, and the metadata of the file.

    Raises:
        MissingFileError: the file does not exist.
        GGCamError: of the type `error`; the file is damaged or too large, or a column is missing or has another type.
    """
    file = open_parquet(path, error, hint)
    try:
        names = file.schema_arrow.names
        expected: pa.Schema = schema(names) if callable(schema) else schema
        missing = [name for name in expected.names if name not in names]
        repeated = [name for name in expected.names if names.count(name) > 1]
        for what, got, found in (("missing", "no", missing), ("repeated", "several columns", repeated)):
            if found:
                raise error(
                    f"columns are {what}",
                    where=path,
                    expected=join_limited(expected.names, 20),
                    got=f"{got} {join_limited(found)}",
                    hint=hint,
                )
        table = file.read(columns=expected.names)
        table.validate(full=True)  # text may not be UTF-8
    except (pa.ArrowException, OSError, ValueError, UnicodeError) as cause:
        raise damaged_parquet(path, cause, error, hint) from None
    columns = []
    for field in expected:
        column = table.column(field.name)
        try:
            cast = column.cast(field.type)
        except (pa.ArrowException, UnicodeError):
            cast = None
        if cast is None or (column.null_count and not field.nullable):
            raise error(
                f"column {field.name} has another type, or nulls",
                where=path,
                expected=f"{field.type}{'' if field.nullable else ', no nulls'}",
                got=f"{column.type}, {column.null_count:,} nulls",
                hint=hint,
            )
        columns.append(cast)
    return pa.Table.from_arrays(columns, schema=expected.with_metadata(file.schema_arrow.metadata))


def write_parquet(path: Path, table: pd.DataFrame, metadata: Mapping[str, str] | None = None) -> None:
    """Write a table.

    Args:
        path: file to write.
        table: the table; its index is not written.
        metadata: name -> text to keep beside the columns.
    """
    content = pa.Table.from_pandas(table, preserve_index=False)
    kept = {**(content.schema.metadata or {}), **(metadata or {})}
    pq.write_table(content.replace_schema_metadata(kept), path)
