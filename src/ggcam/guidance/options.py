"""Hyper-parameters of a guidance as options: NAME=VALUE -> arguments of its class, checked.

They are the arguments of the constructor, converted to the types of its annotations, or else of the defaults.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from ggcam.errors import ConfigError
from ggcam.guidance.base import Guidance

Value = bool | int | float | str
"""What a hyper-parameter may be."""


@dataclass(frozen=True)
class Range:
    """The values that a hyper-parameter may have, with its type in `Annotated`.

    Attributes:
        words: the range in words, for messages.
        low: smallest value.
        high: largest value.
    """

    words: str
    low: float
    high: float = math.inf


Fraction = Annotated[float, Range("0 to 1", 0, 1)]
NonNegative = Annotated[float, Range("a number of 0 or more", 0)]
Positive = Annotated[float, Range("a number above 0", math.ulp(0.0))]
PositiveInt = Annotated[int, Range("an integer of 1 or more", 1)]

_WORDS = {"true": True, "false": False}
_KINDS = {bool: "true or false", int: "an integer", float: "a number"}


def hyperparameters(guidance: type[Guidance]) -> dict[str, inspect.Parameter]:
    """Return the hyper-parameters of a guidance.

    Args:
        guidance: class of the guidance.

    Returns:
        Name -> parameter of its constructor, without `weight`, which all have.
    """
    parameters = inspect.signature(guidance).parameters
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {name: each for name, each in parameters.items() if name != "weight" and each.kind not in variadic}


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
        ConfigError: the guidance has no such hyper-parameter, a value has the wrong type or is out of range, or a
            hyper-parameter without a default is missing.
    """
    known, hints = hyperparameters(guidance), get_type_hints(guidance.__init__, include_extras=True)
    if unknown := [option for option in options if option not in known]:
        raise ConfigError(
            f"guidance {name} has no option {unknown[0]}",
            where="--guidance-options",
            expected=", ".join(f"{key}={parameter.default}" for key, parameter in known.items()) or "no option",
            got=f"{unknown[0]}={options[unknown[0]]}",
        )
    if missing := [name for name, each in known.items() if each.default is each.empty and name not in options]:
        raise ConfigError(
            f"guidance {name} needs the option {missing[0]}",
            where="--guidance-options",
            expected=f"{missing[0]}=VALUE",
        )
    kinds = {option: hints.get(option, type(known[option].default)) for option in options}
    return {option: _convert(option, value, kinds[option]) for option, value in options.items()}


def _convert(option: str, value: Value, kind: Any) -> Value:
    allowed: Range | None = None
    if get_origin(kind) is Annotated:
        kind, allowed = get_args(kind)[:2]
    expected = ", ".join(map(str, get_args(kind))) if get_origin(kind) is Literal else _KINDS.get(kind, "a text")
    if allowed is not None:
        expected = allowed.words
    try:
        found = _parse(value, kind)
        if allowed is None or allowed.low <= float(found) <= allowed.high:
            return found
    except (KeyError, ValueError):
        pass
    raise ConfigError(
        f"invalid value for option {option} of the guidance", where="--guidance-options", expected=expected, got=value
    )


def _parse(value: Value, kind: Any) -> Value:
    if get_origin(kind) is Literal:
        return {str(each): each for each in get_args(kind)}[str(value)]
    if kind is bool:
        return _WORDS[str(value).lower()]
    if kind is int:
        return int(str(value))
    if kind is float:
        number = float(str(value))
        if not math.isfinite(number):
            raise ValueError
        return number
    return str(value)
