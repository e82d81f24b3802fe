"""Write TOML with tomli-w; the standard library reads it."""

from __future__ import annotations

from collections.abc import Mapping

import tomli_w


def dumps(table: Mapping[str, object]) -> str:
    """Format a table as TOML text that `tomllib.loads` reads back.

    Args:
        table: strings, bools, ints, floats, lists or tuples (read back as lists), and mappings of these. Entries that
            are None are left out, because TOML has no null.

    Returns:
        TOML text.

    Raises:
        TypeError: a value is of any other type.

    Example:
        >>> print(dumps({"name": "run", "train": {"lr": 1e-4, "tags": None}}), end="")
        name = "run"
        <BLANKLINE>
        [train]
        lr = 0.0001
    """
    return tomli_w.dumps(_without_none(table))


def _without_none(table: Mapping[str, object]) -> dict[str, object]:
    return {key: _convert(value) for key, value in table.items() if value is not None}


def _convert(value: object) -> object:
    if isinstance(value, Mapping):
        return _without_none(value)
    if isinstance(value, list | tuple):
        return [_convert(item) for item in value]
    return value
