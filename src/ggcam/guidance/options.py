"""Hyper-parameters of a guidance as options: NAME=VALUE -> arguments of its class, checked."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ggcam.errors import ConfigError
from ggcam.guidance.base import Guidance

Value = bool | int | float | str
"""What a hyper-parameter may be."""

_WORDS = {"true": True, "false": False}


def hyperparameters(guidance: type[Guidance]) -> dict[str, inspect.Parameter]:
    """Return the hyper-parameters of a guidance.

    Args:
        guidance: class of the guidance.

    Returns:
        Name -> parameter of its constructor, without `weight`, which all have.
    """
    parameters = inspect.signature(guidance).parameters
    return {name: parameter for name, parameter in parameters.items() if name != "weight"}


def parse_options(pairs: Iterable[str]) -> dict[str, str]:
    """Split NAME=VALUE.

    Args:
        pairs: texts such as "balance=0.3".

    Returns:
        Name -> value as text.

    Raises:
        ConfigError: a text is not of this form, or a name is repeated.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not (name and equals and value) or name in found:
            raise ConfigError(
                "invalid option of the guidance",
                where="--guidance-options",
                expected="NAME=VALUE, each name once, such as balance=0.3",
                got=pair,
            )
        found[name] = value
    return found


def check_options(guidance: type[Guidance], options: Mapping[str, Value], name: str) -> dict[str, Any]:
    """Convert options to the types of a guidance's hyper-parameters.

    Args:
        guidance: class of the guidance.
        options: name -> value, as text or of its type.
        name: name of the guidance, for messages.

    Returns:
        Arguments for the constructor.

    Raises:
        ConfigError: the guidance has no such hyper-parameter, or the value has the wrong type.
    """
    known, hints = hyperparameters(guidance), get_type_hints(guidance.__init__)
    if unknown := [option for option in options if option not in known]:
        raise ConfigError(
            f"guidance {name} has no option {unknown[0]}",
            where="--guidance-options",
            expected=", ".join(f"{key}={parameter.default}" for key, parameter in known.items()) or "no option",
            got=f"{unknown[0]}={options[unknown[0]]}",
        )
    return {option: _convert(option, value, hints.get(option, str)) for option, value in options.items()}


def _convert(option: str, value: Value, kind: Any) -> Value:
    try:
        if get_origin(kind) is Literal and value in get_args(kind):
            return value
        if kind is bool:
            return value if isinstance(value, bool) else _WORDS[str(value).lower()]
        if kind in (int, float) and not isinstance(value, bool):
            return kind(value)
        if kind is str:
            return str(value)
    except (KeyError, ValueError):
        pass
    expected = ", ".join(map(str, get_args(kind))) if get_origin(kind) is Literal else getattr(kind, "__name__", kind)
    raise ConfigError(
        f"invalid value for option {option} of the guidance", where="--guidance-options", expected=expected, got=value
    )
