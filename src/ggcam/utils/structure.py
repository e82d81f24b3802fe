"""Build config dataclasses from the tables of a TOML file, with errors that name the key."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from ggcam.errors import ConfigError, GGCamError

T = TypeVar("T")

_WORDS = {int: "an integer", float: "a number", bool: "true or false", str: "a string", Path: "a path"}
"""Type of a field -> the same in a message."""


def structure(values: Mapping[str, object], cls: type[T], where: object = None, table: str = "") -> T:
    """Build a config dataclass from a table, and nested ones from its nested tables.

    An integer is accepted where a float is expected, and a string where a path is; nothing else is converted.

    Args:
        values: key -> value, as `tomllib` returns them; a key that is left out takes the field's default.
        cls: dataclass to build.
        where: origin of the values, for messages; a file, for example.
        table: name of the table in that file, for messages.

    Returns:
        An instance of `cls`.

    Raises:
        ConfigError: a key is unknown (the message lists the valid ones), a value has the wrong type, or the dataclass
            refuses it.

    Example:
        >>> from ggcam.data.augment_config import AugmentConfig
        >>> structure({"rotate_deg": 5}, AugmentConfig).rotate_deg
        5.0
    """
    from cattrs.errors import BaseValidationError

    try:
        return _converter().structure(values, cls)
    except BaseValidationError as error:
        raise _first_error(error, values, where, table) from error


@cache
def _converter() -> Any:
    from cattrs import Converter
    from cattrs.gen import make_dict_structure_fn

    converter = Converter()
    for kind in _WORDS:
        converter.register_structure_hook(kind, _exact)

    def dataclass_hook(cls: type) -> Callable[[Any, type], Any]:
        from_table: Any = make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=True)

        def hook(value: Any, cls: type) -> Any:
            if not isinstance(value, Mapping):
                raise TypeError(value)
            return from_table(value, cls)

        return hook

    converter.register_structure_hook_factory(is_dataclass, dataclass_hook)
    return converter


def _exact(value: Any, kind: type) -> Any:
    """Return the value of a field of a basic type, unless it has another type. Python counts `True` as an integer."""
    accepted = {float: (int, float), Path: str}.get(kind, kind)
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(value)
    return kind(value)


def _first_error(
    error: BaseException,
    values: Any,
    where: object,
    table: str,
    path: tuple[str, ...] = (),
    kind: Any = None,
) -> GGCamError:
    """Return the first of the errors that cattrs collected, with the path of its key."""
    from cattrs.errors import AttributeValidationNote, BaseValidationError, ForbiddenExtraKeysError

    if isinstance(error, GGCamError):
        return error
    if isinstance(error, BaseValidationError):
        first = error.exceptions[0]
        for note in getattr(first, "__notes__", ()):
            if isinstance(note, AttributeValidationNote):
                return _first_error(first, values[note.name], where, table, (*path, note.name), note.type)
        return _first_error(first, values, where, table, path, kind)
    if isinstance(error, ForbiddenExtraKeysError):
        unknown = ", ".join(".".join((*path, name)) for name in sorted(error.extra_fields))
        valid = ", ".join(sorted(field.name for field in fields(error.cl)))
        return ConfigError(f"unknown key {unknown}", where=where, expected=f"one of {valid}")
    expected = f"a table [{'.'.join(filter(None, (table, *path)))}]" if is_dataclass(kind) else _in_words(kind)
    return ConfigError(f"invalid value for key {'.'.join(path)}", where=where, expected=expected, got=repr(values))


def _in_words(kind: Any) -> str:
    alternatives = get_args(kind) if get_origin(kind) in (types.UnionType, Union) else (kind,)
    for each in alternatives:
        if get_origin(each) is Literal:
            return "one of " + ", ".join(map(repr, get_args(each)))
    return " or ".join(_WORDS[each] for each in alternatives if each in _WORDS)
