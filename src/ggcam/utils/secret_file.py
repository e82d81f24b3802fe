"""Files of one line that hold a secret: a token, or a user and a password."""

from __future__ import annotations

from pathlib import Path

from ggcam.errors import ConfigError

_MAX_BYTES = 64_000


def read_secret(path: Path, option: str) -> str:
    """Read the only line of a file.

    Args:
        path: the file.
        option: command-line option that names it, for the error.

    Returns:
        The line, without white space around it; empty if the file holds no line, several lines, or no text.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            line = file.read(_MAX_BYTES).decode().strip()
    except OSError as error:
        raise ConfigError(f"the file cannot be read: {error.strerror}", where=f"{option} {path}") from None
    except UnicodeDecodeError:
        return ""
    return line if len(line.splitlines()) == 1 else ""


def is_token(line: str) -> bool:
    """Return whether a line can be sent as a bearer token.

    Args:
        line: the line.

    Returns:
        True for printable ASCII without spaces.
    """
    return bool(line) and line.isascii() and line.isprintable() and " " not in line
