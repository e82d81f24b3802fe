"""Mutations of files: of any bytes, and of the values in text, JSON and Parquet."""

from __future__ import annotations

import gzip
import json
import re
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import PurePath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Mutation = Callable[[bytes, np.random.Generator], bytes]

_TEXTS = (
    *("", "0", "-1", "1e308", "-1e308", "1e999", "nan", "NaN", "inf", "-inf", "1,5", "0x10", "null", "true"),
    *("9" * 30, "9" * 5000, "[" * 100_000, "{" * 100_000, '"', "'", "\\", "\0", "\x1b[31m", "=1+1", "../../x", "é" * 9),
    "x" * 200_000,
)
_ENCODINGS = ("latin-1", "utf-16", "cp932", "utf-8-sig")
_INTEGERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_VALUES: tuple[Any, ...] = (None, True, -1, 0, 10**18, 10**400, 1.5, -1e308, "", "x", "\x1b[2J", [], {}, [[]], {"a": 1})
_CELL = re.compile(rb"[^,;\t\r\n \"'=\[\]{}:]+")


def flip(content: bytes, rng: np.random.Generator) -> bytes:
    """Flip up to 16 bits."""
    changed = bytearray(content)
    for position in rng.integers(0, len(changed), rng.integers(1, 17)):
        changed[position] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def cut(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut the file off."""
    return content[: rng.integers(0, len(content))]


def remove(content: bytes, rng: np.random.Generator) -> bytes:
    """Remove a block."""
    start = int(rng.integers(0, len(content)))
    return content[:start] + content[start + int(rng.integers(1, 65)) :]


def repeat(content: bytes, rng: np.random.Generator) -> bytes:
    """Repeat a block."""
    start = int(rng.integers(0, len(content)))
    return (
        content[:start] + content[start : start + int(rng.integers(1, 257))] * int(rng.integers(2, 9)) + content[start:]
    )


def integer(content: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite 1, 2 or 4 bytes by an extreme number: lengths and sizes are stored so."""
    size, order = int(rng.choice((1, 2, 4))), str(rng.choice(("little", "big")))
    value = int(rng.choice(_INTEGERS)) % 256**size
    start = int(rng.integers(0, max(1, min(len(content), 4096) - size)))
    return content[:start] + value.to_bytes(size, order) + content[start + size :]  # pyright: ignore[reportArgumentType]


def cell(content: bytes, rng: np.random.Generator) -> bytes:
    """Replace a word or number of a text."""
    cells = list(_CELL.finditer(content))
    if not cells:
        return content
    found = cells[int(rng.integers(len(cells)))]
    return content[: found.start()] + _TEXTS[int(rng.integers(len(_TEXTS)))].encode() + content[found.end() :]


def column(content: bytes, rng: np.random.Generator) -> bytes:
    """Remove or repeat the same part of every line, as when a column of a table is missing."""
    separator = max((b",", b"\t", b";"), key=content.count)
    lines = [line.split(separator) for line in content.split(b"\n")]
    at, copies = int(rng.integers(max(map(len, lines)))), int(rng.choice((0, 2)))
    return b"\n".join(separator.join(line[:at] + line[at : at + 1] * copies + line[at + 1 :]) for line in lines)


def lines(content: bytes, rng: np.random.Generator) -> bytes:
    """Shuffle the lines of a block, or leave only some of them."""
    parts = content.split(b"\n")
    start = int(rng.integers(len(parts)))
    block = parts[start : start + 20]
    return b"\n".join(parts[:start] + [block[i] for i in rng.permutation(len(block))[: rng.integers(1, 21)]])


def encoding(content: bytes, rng: np.random.Generator) -> bytes:
    """Write a text in another encoding, with a letter that is not ASCII."""
    text = content.decode("utf-8", errors="replace")
    at = int(rng.integers(len(text) + 1))
    name = str(rng.choice(_ENCODINGS))
    return (text[:at] + "é" + text[at:]).encode(name, errors="replace")


def json_value(content: bytes, rng: np.random.Generator) -> bytes:
    """Replace, remove or add a value of a JSON document."""
    document = json.loads(content)
    places: list[tuple[Any, Any]] = []
    stack = [document]
    while stack:
        each = stack.pop()
        inner = each.items() if isinstance(each, dict) else enumerate(each) if isinstance(each, list) else ()
        for key, value in inner:
            places.append((each, key))
            stack.append(value)
    if not places:
        return content
    holder, key = places[int(rng.integers(len(places)))]
    if rng.random() < 0.25:
        del holder[key]
    else:
        holder[key] = _VALUES[int(rng.integers(len(_VALUES)))]
    return json.dumps(document).encode()


def parquet_value(content: bytes, rng: np.random.Generator) -> bytes:
    """Replace a value of a Parquet table, or change, remove, repeat or rename a column."""
    table = pq.read_table(BytesIO(content))
    at = int(rng.integers(table.num_columns))
    name, column = table.column_names[at], table.column(at)
    choice = int(rng.integers(5))
    if choice == 0:
        changed = table.drop_columns(name)
    elif choice == 1:
        changed = table.append_column(name, column)
    elif choice == 2:
        names = [*table.column_names]
        names[at] = _TEXTS[int(rng.integers(len(_TEXTS)))]
        changed = table.rename_columns(names)
    else:
        values = column.to_pylist()
        value: Any = ("x", "", None) if pa.types.is_string(column.type) else (None, 0, -1, 2**31, 1e308, np.nan, np.inf)
        if choice == 3:
            replaced = [value[int(rng.integers(len(value)))] for _ in values]
        else:
            row = int(rng.integers(max(len(values), 1)))
            replaced = [*values[:row], value[int(rng.integers(len(value)))], *values[row + 1 :]]
        try:
            changed = table.set_column(at, name, pa.array(replaced))
        except pa.ArrowException:
            changed = table.set_column(at, name, pa.array([str(each) for each in replaced]))
        if choice == 3 and pa.types.is_string(column.type) and len(values):
            raw = pa.array([b"\xff\xfe"] * len(values), pa.binary()).view(pa.string())
            changed = table.set_column(at, name, raw)
    target = BytesIO()
    pq.write_table(changed, target)
    return target.getvalue()


def packed(content: bytes, rng: np.random.Generator) -> bytes:
    """Mutate what a gzip file, or an entry of a ZIP archive, holds: a mutated byte outside fails its checksum."""
    if content.startswith(b"\x1f\x8b"):
        return gzip.compress(mutate("a.csv", gzip.decompress(content), rng))
    target = BytesIO()
    with zipfile.ZipFile(BytesIO(content)) as source, zipfile.ZipFile(target, "w") as archive:
        entries = source.infolist()
        chosen, mutation = int(rng.integers(len(entries))), _BYTES[int(rng.integers(len(_BYTES)))]
        for number, info in enumerate(entries):
            entry = source.read(info)
            archive.writestr(info, mutation(entry, rng) if number == chosen and entry else entry)
    return target.getvalue()


_BYTES: tuple[Mutation, ...] = (flip, cut, remove, repeat, integer)
_TEXT: tuple[Mutation, ...] = (cell, cell, cell, column, lines, encoding, flip, cut, remove, repeat)
MUTATIONS: dict[str, tuple[Mutation, ...]] = {
    **dict.fromkeys((".csv", ".tsv", ".asc", ".txt", ".toml"), _TEXT),
    **dict.fromkeys((".gz", ".npz", ".pt"), (packed, packed, *_BYTES)),
    ".json": (json_value, json_value, json_value, cell, encoding, flip, cut, remove),
    ".parquet": (parquet_value, parquet_value, flip, cut, remove, repeat, integer),
}
"""Suffix of a file -> the mutations that suit it, more important ones several times."""


def mutate(name: str, content: bytes, rng: np.random.Generator) -> bytes:
    """Mutate a file once or, in one of four cases, twice.

    Args:
        name: name of the file, which decides the mutations.
        content: content of the file.
        rng: random generator.

    Returns:
        The mutated content.
    """
    suffix = PurePath(name).suffix.lower()
    if suffix == ".txt" and content.startswith(b"{"):
        suffix = ".json"
    mutations = MUTATIONS.get(suffix, _BYTES)
    for _ in range(1 + (rng.random() < 0.25)):
        mutation = mutations[int(rng.integers(len(mutations)))]
        if not content:
            break
        try:
            content = mutation(content, rng)
        except (
            ValueError,
            pa.ArrowException,
            OSError,
            RecursionError,
            EOFError,
            zlib.error,
            zipfile.BadZipFile,
        ):  # the first mutation has damaged the file
            content = flip(content, rng)
    return content
