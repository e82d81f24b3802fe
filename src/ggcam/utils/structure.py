"""Check parsed JSON and TOML against a schema, with errors that name the key; and back to what these formats hold.

A schema is a dataclass, which has no other keys than its fields, or a `TypedDict`, which may have further keys.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, NotRequired, Required, TypeVar, Union, get_args, get_origin, is_typeddict

from ggcam.errors import ConfigError, GGCamError

T = TypeVar("T")

_WORDS = {int: "an integer", float: "a finite number", bool: "true or false", str: "a string", Path: "a path"}
"""Type of a value -> the same in a message."""

_LARGEST_INTEGER = 2**63
_LONGEST_VALUE = 200


def structure(
    values: Mapping[str, object],
    cls: type[T],
    where: object = None,
    table: str = "",
    error: type[GGCamError] = ConfigError,
    hint: str | None = None,
) -> T:
    """Build a dataclass or a `TypedDict` from a table, and nested ones from its nested tables.

    An integer is accepted where a float is expected, and a string where a path is; nothing else is converted. Numbers
    are finite, and integers fit in 64 bits.

    Args:
        values: key -> value, as `tomllib` or `json` return them; a key of a dataclass that is left out takes the
            field's default.
        cls: the schema.
        where: origin of the values, for messages; a file, for example.
        table: name of the table in that file, for messages.
        error: type of the error.
        hint: how to get valid values, in the imperative.

    Returns:
        An instance of `cls`.

    Raises:
        GGCamError: of the type `error`; a key is missing or, in a dataclass, unknown (the message lists the valid
            ones), a value has the wrong type, or the dataclass refuses it.

    Example:
        >>> from ggcam.data.augment_config import AugmentConfig
        >>> structure({"rotate_deg": 5}, AugmentConfig).rotate_deg
        5.0
    """
    from cattrs.errors import BaseValidationError

    try:
        return _converter().structure(values, cls)
    except BaseValidationError as invalid:
        raise _first_error(invalid, values, _Report(where, table, error, hint)) from None


@dataclass(frozen=True)
class _Report:
    """What an error says besides the key: see :func:`structure`."""

    where: object
    table: str
    error: type[GGCamError]
    hint: str | None

    def make(self, what: str, expected: object = None, got: object = None) -> GGCamError:
        return self.error(what, where=self.where, expected=expected, got=got, hint=self.hint)


@cache
def _converter() -> Any:
    from cattrs import Converter
    from cattrs.cols import homogenous_tuple_structure_factory, list_structure_factory, mapping_structure_factory
    from cattrs.gen import make_dict_structure_fn
    from cattrs.gen.typeddicts import make_dict_structure_fn as make_typeddict_structure_fn

    converter = Converter()
    for kind in _WORDS:
        converter.register_structure_hook(kind, _exact)

    def register(predicate: Callable[[Any], bool], accepted: Any, factory: Callable[[Any, Any], Any]) -> None:
        """Use a hook of cattrs for values of the accepted type only: cattrs would split a text into a list."""

        def make_hook(cls: Any) -> Callable[[Any, Any], Any]:
            convert = factory(cls, converter)

            def hook(value: Any, cls: Any) -> Any:
                if not isinstance(value, accepted):
                    raise TypeError(value)
                return convert(value, cls)

            return hook

        converter.register_structure_hook_factory(predicate, make_hook)

    register(is_dataclass, Mapping, partial(make_dict_structure_fn, _cattrs_forbid_extra_keys=True))
    register(is_typeddict, Mapping, make_typeddict_structure_fn)
    register(lambda cls: get_origin(cls) is dict, Mapping, mapping_structure_factory)
    register(lambda cls: get_origin(cls) is list, list, list_structure_factory)
    register(_is_homogeneous_tuple, (list, tuple), homogenous_tuple_structure_factory)
    return converter


def plain(value: Any) -> Any:
    """Convert paths to strings and tuples to lists, which both TOML and JSON can hold.

    Args:
        value: nested mappings, sequences and plain values.

    Returns:
        The same structure.
    """
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _is_homogeneous_tuple(cls: Any) -> bool:
    """Return whether a type is `tuple[X, ...]`."""
    return get_origin(cls) is tuple and get_args(cls)[1:] == (...,)


def _exact(value: Any, kind: type) -> Any:
    """Return the value of a field of a basic type, unless it has another type. Python counts `True` as an integer."""
    accepted = {float: (int, float), Path: str}.get(kind, kind)
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(value)
    if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
        raise TypeError(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError(value)
    return kind(value)


def _first_error(
    error: BaseException, values: Any, report: _Report, path: tuple[str, ...] = (), kind: Any = None
) -> GGCamError:
    """Return the first of the errors that cattrs collected, with the path of its key."""
    from cattrs.errors import (
        AttributeValidationNote,
        BaseValidationError,
        ForbiddenExtraKeysError,
        IterableValidationNote,
    )

    key = ".".join(path)
    if isinstance(error, GGCamError):  # raised by a dataclass about its fields
        if report.error is ConfigError:
            return error
        return report.make(f"invalid value for key {key}" if path else "invalid content", got=error.what)
    if isinstance(error, BaseValidationError):
        first = error.exceptions[0]
        for note in getattr(first, "__notes__", ()):
            if isinstance(note, AttributeValidationNote | IterableValidationNote):
                name = note.name if isinstance(note, AttributeValidationNote) else note.index
                inner = (*path, str(name))
                if isinstance(values, Mapping) and name not in values:
                    return report.make(
                        f"the key {'.'.join(inner)} is missing", expected=_in_words(note.type, inner, report)
                    )
                return _first_error(first, values[name], report, inner, note.type)
        return _first_error(first, values, report, path, kind)
    if isinstance(error, ForbiddenExtraKeysError):
        unknown = ", ".join(".".join((*path, name)) for name in sorted(error.extra_fields))
        valid = ", ".join(sorted(field.name for field in fields(error.cl)))
        return report.make(f"unknown key {unknown}", expected=f"one of {valid}")
    what = f"invalid value for key {key}" if path else "invalid content"
    return report.make(what, expected=_in_words(kind, path, report), got=_shorten(values))


def _in_words(kind: Any, path: tuple[str, ...], report: _Report) -> str:
    if is_dataclass(kind):
        return f"a table [{'.'.join(filter(None, (report.table, *path)))}]"
    alternatives = get_args(kind) if get_origin(kind) in (types.UnionType, Union) else (kind,)
    words = [_word(each) for each in alternatives if each is not type(None)]
    return " or ".join(words)


def _word(kind: Any) -> str:
    origin = get_origin(kind)
    if origin in (NotRequired, Required):
        return _word(get_args(kind)[0])
    if origin is Literal:
        return "one of " + ", ".join(map(repr, get_args(kind)))
    if origin in (list, tuple):
        return "a list"
    return _WORDS.get(kind, "a table of keys and values")


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
