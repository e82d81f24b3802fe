"""Raw data sets: one module per format, each with a function that reads a folder into a Source."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ggcam.data.case import Source
from ggcam.data.sources import (
    coco,
    cub_gha,
    egd_cxr,
    folder,
    nih,
    original,
    poet,
    reflacx,
    siim_acr,
    table,
    vindr,
)
from ggcam.data.sources.custom import ReadFunction, call_custom
from ggcam.errors import ConfigError, DataError, MissingFileError
from ggcam.utils.aliases import canonical_name
from ggcam.utils.user_code import import_object, is_reference

__all__ = [
    "READERS",
    "ReadFunction",
    "Reader",
    "command_line_name",
    "detect",
    "find_read_function",
    "option_names",
    "read",
]


@dataclass(frozen=True)
class Reader:
    """The reader of one format.

    Attributes:
        summary: what the format is, in one line.
        expected_files: files by which a folder of this format is recognised, in words.
        can_read: returns whether a folder looks like this format.
        read: reads a folder; its further parameters are the options of the format.
    """

    summary: str
    expected_files: str
    can_read: Callable[[Path], bool]
    read: ReadFunction


READERS: Mapping[str, Reader] = {
    module.NAME: Reader((module.__doc__ or "").partition("\n")[0], module.EXPECTED_FILES, module.can_read, module.read)
    for module in (egd_cxr, original, reflacx, siim_acr, nih, vindr, poet, cub_gha, coco, table, folder)
}
"""Name -> reader, the specific formats before the general ones."""


def command_line_name(name: str) -> str:
    """Return the name of a source or option as the command line writes it.

    Args:
        name: name with underscores, such as "egd_cxr".

    Returns:
        The name with hyphens.
    """
    return name.replace("_", "-")


def option_names(read_function: ReadFunction) -> tuple[str, ...]:
    """Return the names of a reader's options.

    Args:
        read_function: function of a folder and options.

    Returns:
        Its parameters after the first, which is the folder.
    """
    return tuple(inspect.signature(read_function).parameters)[1:]


def detect(root: Path) -> str:
    """Return the name of the first format that recognises a folder.

    Args:
        root: folder of raw data.

    Returns:
        A key of `READERS`.

    Raises:
        MissingFileError: the folder does not exist.
        DataError: no format recognises it; the message lists the files that each format needs.
    """
    if not root.is_dir():
        raise MissingFileError("the folder does not exist", where=root)
    for name, reader in READERS.items():
        if reader.can_read(root):
            return name
    files = "".join(f"\n    {command_line_name(name)}: {reader.expected_files}" for name, reader in READERS.items())
    raise DataError("the format of the folder is unknown", where=root, expected=f"one of{files}")


def find_reader(name: str) -> Reader | None:
    """Return the reader of a format.

    Args:
        name: name of the format, with hyphens or underscores, or an alias of it.

    Returns:
        The reader; None if there is no such format.
    """
    return READERS.get(canonical_name(name).replace("-", "_"))


def find_read_function(source: str | ReadFunction) -> ReadFunction:
    """Return the function that reads a source.

    Args:
        source: name of a format, with hyphens or underscores; "my_module:read" for a function in a file of the user's;
            or the function itself.

    Returns:
        A function of a folder and options that returns a :class:`Source`.

    Raises:
        ConfigError: the source is unknown, or the user's function cannot be imported or is not a function.
    """
    if isinstance(source, str) and not is_reference(source):
        reader = find_reader(source)
        if reader is None:
            known = ", ".join(["auto", *map(command_line_name, READERS)])
            raise ConfigError(
                "unknown source", where="--source", expected=f"{known}, or my_module:read for your own", got=source
            )
        return reader.read
    function: ReadFunction = import_object(source, "--source") if isinstance(source, str) else source
    if not callable(function):
        raise ConfigError(
            "a source must be a function",
            where=f"--source {source}",
            expected="a function of the raw folder that returns a ggcam.Source",
            got=type(function).__name__,
        )
    return function


def read(root: Path, source: str | ReadFunction = "auto", skip_missing: bool = False, **options: object) -> Source:
    """Read a raw data set.

    Args:
        root: folder of the raw data.
        source: name of the format, or "auto" to recognise it; or a user's own function, see :func:`find_read_function`.
        skip_missing: leave out cases with missing or unreadable files, and count them. A function of the user's gets
            this argument only if it has a parameter of this name.
        options: options of the format, by name.

    Returns:
        What the reader found.

    Raises:
        ConfigError: the format is unknown, or does not have an option; the message names the formats that have it.
        GGCamError: whatever the reader finds.
    """
    root = Path(root)
    found = detect(root) if source == "auto" else source
    function = find_read_function(found)
    name = _display_name(found)
    valid = option_names(function)
    for option in options:
        if option not in valid:
            raise _unknown_option(name, option, valid)
    if skip_missing and "skip_missing" in valid:
        options["skip_missing"] = True
    if any(function is reader.read for reader in READERS.values()):
        return function(root, **options)
    return call_custom(function, name, root, options)


def _display_name(source: str | ReadFunction) -> str:
    """Return the name of a source in messages."""
    if not isinstance(source, str):
        return getattr(source, "__qualname__", repr(source))
    return source if is_reference(source) else command_line_name(source)


def _unknown_option(source: str, option: str, valid: tuple[str, ...]) -> ConfigError:
    """Say which sources do have the option."""
    having = [command_line_name(name) for name, reader in READERS.items() if option in option_names(reader.read)]
    flag = f"--{command_line_name(option)}"
    return ConfigError(
        f"the source {source} has no option {flag}",
        expected=", ".join(f"--{command_line_name(name)}" for name in valid) or "no options",
        hint=f"{flag} is an option of {', '.join(having)}" if having else None,
    )
