"""Read text, JSON and TOML files, which may be damaged or written by a stranger: every defect is one kind of error.

A file is refused if it is larger than a limit, not UTF-8, not in its format, or nested deeper than any file of this
package. Types and keys are checked by :func:`ggcam.utils.structure.structure`.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ggcam.errors import DataError, GGCamError, MissingFileError

MAX_BYTES = 64 * 2**20
"""Maximum size of a document: 64 MiB."""

MAX_DEPTH = 40
"""Maximum depth of nested tables and lists."""

_TOML_PLACE = re.compile(r" \(at (line \d+, column \d+|end of document)\)$")


def read_text(
    path: Path, error: type[GGCamError] = DataError, hint: str | None = None, max_bytes: int = MAX_BYTES
) -> str:
    """Read a text file.

    Args:
        path: the file.
        error: type of the error about a damaged file.
        hint: how to get an undamaged file, in the imperative.
        max_bytes: maximum size of the file.

    Returns:
        The text.

    Raises:
        MissingFileError: the file does not exist.
        GGCamError: of the type `error`; the file cannot be read, is too large, or is not text in UTF-8.
    """
    try:
        if path.is_dir():
            raise error("a folder is in the place of a file", where=path, hint=hint)
        size = path.stat().st_size
        if size > max_bytes:
            limit = f"at most {max_bytes:,} bytes"
            raise error("the file is too large", where=path, expected=limit, got=f"{size:,} bytes", hint=hint)
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise MissingFileError("the file does not exist", where=path, hint=hint) from None
    except OSError as cause:
        raise error("the file cannot be read", where=path, got=cause.strerror, hint=hint) from None
    except UnicodeDecodeError as cause:
        found = f"byte {cause.object[cause.start]:#04x} at position {cause.start:,}"
        raise error("the file is damaged", where=path, expected="text in UTF-8", got=found, hint=hint) from None


def read_json(path: Path, error: type[GGCamError] = DataError, hint: str | None = None) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Args:
        path: the file.
        error: type of the error about a damaged file.
        hint: how to get an undamaged file, in the imperative.

    Returns:
        Its content.

    Raises:
        MissingFileError: the file does not exist.
        GGCamError: of the type `error`; the file cannot be read or is not a JSON object.
    """
    content = parse_json(read_text(path, error, hint), path, error, hint)
    if not isinstance(content, dict):
        raise error("the file is damaged", where=path, expected="a JSON object", got=type(content).__name__, hint=hint)
    return content


def parse_json(text: str | bytes, where: object, error: type[GGCamError] = DataError, hint: str | None = None) -> Any:
    """Parse JSON. NaN and infinity, which JSON does not have, are refused.

    Args:
        text: JSON, as text or in UTF-8.
        where: its origin, for messages.
        error: type of the error about damaged content.
        hint: how to get undamaged content, in the imperative.

    Returns:
        Its content.

    Raises:
        GGCamError: of the type `error`; the text is not JSON, or nested too deeply.
    """
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as cause:
        place = f"line {cause.lineno}, column {cause.colno}"
        found = f"{cause.doc[cause.pos : cause.pos + 20]!r} at {place}" if cause.doc[cause.pos :] else f"end at {place}"
        raise error("the file is damaged", where=where, expected="valid JSON", got=found, hint=hint) from None
    except UnicodeDecodeError:
        raise error("the file is damaged", where=where, expected="text in UTF-8", hint=hint) from None
    except RecursionError:
        raise _too_deep(where, error, hint) from None
    except ValueError as cause:  # NaN, or an integer with thousands of digits
        raise error("the file is damaged", where=where, expected="valid JSON", got=_reason(cause), hint=hint) from None
    _check_depth(content, where, error, hint)
    return content


def read_toml(path: Path, error: type[GGCamError] = DataError, hint: str | None = None) -> dict[str, Any]:
    """Read a TOML file.

    Args:
        path: the file.
        error: type of the error about a damaged file.
        hint: how to get an undamaged file, in the imperative.

    Returns:
        Its content.

    Raises:
        MissingFileError: the file does not exist.
        GGCamError: of the type `error`; the file cannot be read or is not TOML.
    """
    text = read_text(path, error, hint)
    try:
        content = tomllib.loads(text)
    except RecursionError:
        raise _too_deep(path, error, hint) from None
    except ValueError as cause:
        place = _TOML_PLACE.search(str(cause))
        where = f"{path}, {place[1]}" if place else path
        found = _TOML_PLACE.sub("", _reason(cause))
        raise error("the file is damaged", where=where, expected="valid TOML", got=found, hint=hint) from None
    _check_depth(content, path, error, hint)
    return content


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name}, which JSON does not have")


def _reason(cause: ValueError) -> str:
    text = str(cause)
    return "an integer with thousands of digits" if text.startswith("Exceeds the limit") else text


def _check_depth(content: object, where: object, error: type[GGCamError], hint: str | None) -> None:
    """Refuse deep nesting, on which functions that follow the structure would fail. Not recursive itself."""
    level: list[object] = [content]
    for _ in range(MAX_DEPTH):
        inner: list[object] = []
        for each in level:
            if isinstance(each, Mapping):
                inner += each.values()
            elif isinstance(each, list):
                inner += each
        if not inner:
            return
        level = inner
    raise _too_deep(where, error, hint)


def _too_deep(where: object, error: Callable[..., GGCamError], hint: str | None) -> GGCamError:
    return error(
        "the file is damaged",
        where=where,
        expected=f"at most {MAX_DEPTH} levels of nested brackets",
        got="more",
        hint=hint,
    )
