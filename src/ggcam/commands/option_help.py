"""How options read in `--help`: plain defaults, no None, and long lists of options in titled groups.

A description may end with "Default: WORDS." Those words are shown where the default itself says little, such as None.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial, reduce
from operator import or_
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin, get_type_hints

import docstring_parser
from tyro.conf import arg
from tyro.constructors import (
    MISSING,
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
    UnsupportedTypeAnnotationError,
)

NO_VALUE = ("none", "None")
"""What a user writes to take back an optional value, such as one that a preset sets."""

_DEFAULT_WORDS = re.compile(r"\s*Default:\s+(?P<words>.+?)\.?$", re.DOTALL)


class _Group:
    """Some fields of a dataclass; parsed into a dictionary."""

    fields: ClassVar[tuple[StructFieldSpec, ...]] = ()


def option_registry(groups: Mapping[type, Mapping[str, tuple[str, ...]]]) -> ConstructorRegistry:
    """Return the rules by which tyro turns signatures and docstrings of ggcam into options.

    Args:
        groups: dataclass of options -> title of a group -> names of the fields listed under it. Fields in no group
            are listed with the command's own options.
    """
    registry = ConstructorRegistry()
    registry.primitive_rule(_number)
    registry.primitive_rule(_optional_value)
    registry.struct_rule(partial(_options_of, groups))
    return registry


def _number(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """Parse a number; the message about anything else is in plain words."""
    kind: Any = info.type
    if kind not in (int, float):
        return None

    def parse(words: list[str]) -> float:
        try:
            return kind(words[0])
        except ValueError:
            raise ValueError(f"{words[0]!r} is not a {'whole number' if kind is int else 'number'}") from None

    return PrimitiveConstructorSpec(
        1, kind.__name__.upper(), parse, lambda value: type(value) in (int, kind), lambda n: [str(n)]
    )


def _optional_value(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | UnsupportedTypeAnnotationError | None:
    """Parse `X | None` like X, and "none" as None; the help shows X alone."""
    if not _is_optional(info.type):
        return None
    kinds = [kind for kind in get_args(info.type) if kind is not NoneType]
    without_none: Any = reduce(or_, kinds)
    inner = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(without_none, set(info.markers)))
    if isinstance(inner, UnsupportedTypeAnnotationError):
        return inner
    nargs = inner.nargs if inner.nargs in (1, "*") or not isinstance(inner.nargs, int) else (1, inner.nargs)
    return dataclasses.replace(
        inner,
        nargs=nargs,
        choices=None if inner.choices is None else (*inner.choices, *NO_VALUE),
        instance_from_str=lambda words: (
            None if words in ([name] for name in NO_VALUE) else inner.instance_from_str(words)
        ),
        is_instance=lambda value: value is None or inner.is_instance(value),
        str_from_instance=lambda value: ["none"] if value is None else inner.str_from_instance(value),
    )


def _options_of(
    groups: Mapping[type, Mapping[str, tuple[str, ...]]], info: StructTypeInfo
) -> StructConstructorSpec | None:
    """Options of a command or of a dataclass of ggcam."""
    kind: Any = info.type
    if isinstance(kind, type) and issubclass(kind, _Group):
        return StructConstructorSpec(dict, kind.fields)
    source = kind.func if isinstance(kind, partial) else kind
    if not getattr(source, "__module__", "").startswith("ggcam"):
        return None
    if isinstance(source, type) and dataclasses.is_dataclass(source):
        fields = list(_fields(source, _field_defaults(source, info.default)))
        return (
            _grouped(source, fields, groups[source]) if source in groups else StructConstructorSpec(kind, tuple(fields))
        )
    if inspect.isfunction(source):
        defaults = {name: each.default for name, each in inspect.signature(kind).parameters.items()}
        defaults = {name: MISSING if value is inspect.Parameter.empty else value for name, value in defaults.items()}
        return StructConstructorSpec(kind, tuple(_fields(source, defaults)))
    return None


def _field_defaults(kind: Any, default: Any) -> dict[str, Any]:
    """Default of each field: of the given instance, or of the dataclass."""
    if isinstance(default, kind):
        return {each.name: getattr(default, each.name) for each in dataclasses.fields(kind)}
    found: dict[str, Any] = {}
    for each in dataclasses.fields(kind):
        if each.default_factory is not dataclasses.MISSING:
            found[each.name] = each.default_factory()
        else:
            found[each.name] = MISSING if each.default is dataclasses.MISSING else each.default
    return found


def _fields(source: Any, defaults: Mapping[str, Any]) -> Iterator[StructFieldSpec]:
    types = get_type_hints(source, include_extras=True)
    described = docstring_parser.parse(inspect.getdoc(source) or "").params
    texts = {param.arg_name: " ".join((param.description or "").split()) for param in described}
    for name, default in defaults.items():
        text, hint = _text_and_hint(texts.get(name, ""), types[name], default)
        kind = types[name] if hint is None else Annotated[types[name], arg(help_behavior_hint=hint)]
        yield StructFieldSpec(name, kind, default, text)  # pyright: ignore[reportArgumentType]


def _text_and_hint(text: str, kind: Any, default: Any) -> tuple[str, str | Callable[[str], str] | None]:
    """The description without the words about the default, and what is shown of the default; None for its value."""
    match = _DEFAULT_WORDS.search(text)
    words = match["words"] if match else None
    text = text[: match.start()] if match else text
    if default is MISSING:
        return text, "(one or more)" if Ellipsis in get_args(_without_annotation(kind)) else None
    if default in (None, "", ()):
        return text, f"(default: {words})" if words else "(optional)"
    if isinstance(default, bool):
        return text, f"(default: {'on' if default else 'off'})"
    if words and _is_optional(kind):
        return text, lambda value: f"(default: {value}; none: {words})"
    return text, f"(default: {words})" if words else None


def _is_optional(kind: Any) -> bool:
    kind = _without_annotation(kind)
    return get_origin(kind) in (Union, UnionType) and NoneType in get_args(kind)


def _without_annotation(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _grouped(kind: Any, fields: list[StructFieldSpec], groups: Mapping[str, tuple[str, ...]]) -> StructConstructorSpec:
    """The same dataclass with its fields under titles."""
    by_name = {field.name: field for field in fields}
    grouped: list[StructFieldSpec] = []
    for title, names in groups.items():
        members = [by_name.pop(name) for name in names if name in by_name]
        if len(members) == 1 and dataclasses.is_dataclass(members[0].default):  # a group of its own already
            (member,) = members
            named: Any = Annotated[member.type, arg(name=title)]
            grouped.append(dataclasses.replace(member, type=named, helptext=""))
        elif members:
            group: Any = Annotated[type(title, (_Group,), {"fields": tuple(members)}), arg(name=title)]
            grouped.append(StructFieldSpec(title, group, MISSING, ""))
    own = tuple(by_name.values())

    def instantiate(**values: Any) -> Any:
        merged: dict[str, Any] = {}
        for name, value in values.items():
            merged |= value if isinstance(value, dict) else {name: value}
        return kind(**merged)

    return StructConstructorSpec(instantiate, (*own, *grouped))
