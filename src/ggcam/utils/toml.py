"""Write TOML, which the standard library only reads."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping


def dumps(table: Mapping[str, object]) -> str:
    """Write a table as TOML that `tomllib.loads` reads back as it was.

    Strings, bools, ints, floats, lists or tuples (read back as lists) and mappings of these are taken; an entry that
    is None is left out, since TOML has no word for it. Mappings become `[tables]`, inside a list inline ones.

    Raises:
        TypeError: a key is not a string, or a value is of another kind.
    """
    return "\n".join(_lines(table, ())) + "\n"


def _lines(table: Mapping[str, object], path: tuple[str, ...]) -> list[str]:
    """Lines of one table: its own entries first, because all that follows a `[header]` belongs to that header."""
    present = {_key(key): value for key, value in table.items() if value is not None}
    lines = [f"{key} = {_value(value)}" for key, value in present.items() if not isinstance(value, Mapping)]
    # A table that holds nothing but tables needs no header of its own.
    if path and (lines or not present):
        lines = [f"[{'.'.join(path)}]", *lines]
    for key, value in present.items():
        if isinstance(value, Mapping):
            below = _lines(value, (*path, key))
            lines += ["", *below] if lines else below
    return lines


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a TOML key must be a string, got {key!r}")
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _string(key)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return repr(float(value)) if math.isfinite(value) else str(float(value))
    if isinstance(value, Mapping):
        pairs = [f"{_key(key)} = {_value(inner)}" for key, inner in value.items() if inner is not None]
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    raise TypeError(f"TOML has no form for {type(value).__name__}: {value!r}")


def _string(text: str) -> str:
    """A basic string. JSON escapes as TOML does, but leaves DEL alone, which TOML does not admit."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
