"""Options of the sources of `ggcam prepare`, taken from the signature and the docstring of each reader."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, make_dataclass
from typing import TYPE_CHECKING, Any, Optional, get_type_hints

from ggcam.errors import ConfigError

if TYPE_CHECKING:
    from ggcam.data.sources import ReadFunction

GENERAL_OPTIONS = ("skip_missing",)
"""Parameters of readers that `ggcam prepare` sets itself, for every source."""


@dataclass(frozen=True)
class SourceOptions:
    """Options of a source; a subclass has a field for each."""

    def given(self) -> dict[str, object]:
        """Return the options that have a value other than their default, by name."""
        return {each.name: value for each in fields(self) if (value := getattr(self, each.name)) != each.default}


def documented_options(read_function: ReadFunction) -> SourceOptions:
    """Return the options of one source with their defaults and descriptions, for `--help`.

    Args:
        read_function: reader of the source.

    Returns:
        An instance of a new subclass, with the reader's own types, defaults and docstring.
    """
    return _instance(_options(read_function), inspect.getdoc(read_function))


def accepted_options(read_functions: Iterable[ReadFunction]) -> SourceOptions:
    """Return the options of several sources, for parsing a command line before the source is known.

    Args:
        read_functions: readers of the sources; where two have an option of one name, the later one sets its type.

    Returns:
        An instance of a new subclass. Each option is None, to distinguish those that are on the command line; a flag
        has its default.
    """
    options: dict[str, tuple[Any, Any]] = {}
    for read_function in read_functions:
        for name, (kind, default) in _options(read_function).items():
            # A flag has no third value. The type of the others is only known at run time.
            options[name] = (bool, bool(default)) if kind is bool else (Optional[kind], None)  # noqa: UP045
    return _instance(options, None)


def _options(read_function: ReadFunction) -> dict[str, tuple[Any, Any]]:
    """Name -> type and default of each parameter after the first; a parameter without annotation is text."""
    try:
        kinds = get_type_hints(read_function, include_extras=True)
    except Exception as error:  # the annotations are the user's
        name = getattr(read_function, "__qualname__", repr(read_function))
        raise ConfigError(f"the annotations of {name} cannot be resolved", where="--source", got=error) from error
    parameters = list(inspect.signature(read_function).parameters.values())[1:]
    return {
        each.name: (kinds.get(each.name, str), None if each.default is inspect.Parameter.empty else each.default)
        for each in parameters
        if each.name not in GENERAL_OPTIONS and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    }


def _instance(options: dict[str, tuple[Any, Any]], doc: str | None) -> SourceOptions:
    fields = [(name, kind, field(default=default)) for name, (kind, default) in options.items()]
    namespace = {"__doc__": doc or SourceOptions.__doc__, "__module__": __name__}
    return make_dataclass("NamedSourceOptions", fields, bases=(SourceOptions,), frozen=True, namespace=namespace)()
