"""Checks of types and shapes while the tests run: beartype, which lets an int stand for a float as Python's readers do.

jaxtyping's import hook decorates every function. Its own decorator prepares all of them at import, binds the arguments
of each call and checks them twice, which took 10 of the 25 s of processor time of tests/metrics; this one takes 4. The
checks are the same, but a function is prepared when it is first called, and only shapes get the treatment they need.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import Any, get_args, get_type_hints

import jaxtyping
from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
_jaxtyped = jaxtyping.jaxtyped


def install_type_checks(package: str) -> None:
    """Check the types and shapes of a package's functions; it must not be imported yet."""
    jaxtyping.jaxtyped = checked
    jaxtyping.install_import_hook(package, f"{__name__}.check")


def checked(target: Any = None, *, typechecker: object = None) -> Any:
    """Check a function's arguments and result at each call, and the fields of a dataclass; as `jaxtyping.jaxtyped`."""
    if target is None:
        return checked
    if not inspect.isclass(target):
        return _checked_function(target)
    if dataclasses.is_dataclass(target) and not hasattr(target.__init__, "__checked__"):
        target.__init__ = _checked_function(target.__init__)
    return target


def _checked_function(function: FunctionType) -> Callable[..., Any]:
    checking: Callable[..., Any] | None = None

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if jaxtyping.config.jaxtyping_disable:
            return function(*args, **kwargs)
        nonlocal checking
        if checking is None:
            checking = _prepare(function)
        return checking(*args, **kwargs)

    wrapper.__checked__ = True  # pyright: ignore[reportAttributeAccessIssue]
    return wrapper


def _prepare(function: FunctionType) -> Callable[..., Any]:
    """Return a copy of a function that checks its calls."""
    if inspect.isgeneratorfunction(function):  # jaxtyping checks the generator, beartype what it yields
        return _jaxtyped(function, typechecker=check)
    hints = {name: _resolved(hint, function.__globals__) for name, hint in function.__annotations__.items()}
    copy = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__, copy.__qualname__ = function.__kwdefaults__, function.__qualname__
    copy.__annotations__ = hints
    with_checks = check(copy)
    return _jaxtyped(with_checks, typechecker=None) if any(map(_has_shape, hints.values())) else with_checks


def _resolved(hint: Any, names: dict[str, Any]) -> Any:
    """Evaluate an annotation; Any where it names what only type checkers import."""

    def annotated() -> None: ...

    annotated.__annotations__ = {"value": hint}
    try:
        return get_type_hints(annotated, names, include_extras=True)["value"]
    except Exception:
        return Any


def _has_shape(hint: Any) -> bool:
    if inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(map(_has_shape, get_args(hint)))
