"""Every error that a user can meet, in one tree.

A command turns any :class:`GGCamError` into one readable message and exit code 2. All else is a fault of the program.
"""

from __future__ import annotations

from collections.abc import Iterable


class GGCamError(Exception):
    """A mistake that the user can mend: in a file, a value, or a combination of options.

    Args:
        what: one sentence that says what is wrong.
        where: file, `file:row` or option concerned.
        expected: what would be right.
        got: what was found.
        hint: what to do about it.
    """

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        expected: object = None,
        got: object = None,
        hint: str | None = None,
    ):
        self.what = what
        parts = [("where", where), ("expected", expected), ("got", got), ("hint", hint)]
        lines = [what, *(f"  {name}: {value}" for name, value in parts if value is not None)]
        super().__init__("\n".join(lines))


class ConfigError(GGCamError):
    """An option, or a combination of options, that cannot work."""


class DataError(GGCamError):
    """Data on disk are not what their format demands."""


class MissingFileError(DataError):
    """A file or folder that must be there is not."""


class TableError(DataError):
    """A table lacks a column, or holds a value that its column does not admit."""


class ImageError(DataError):
    """An image cannot be read, or is not of a kind that can be used."""


class WeightsError(DataError):
    """A file of weights is damaged, or of another network."""


class PreparedFolderError(DataError):
    """A prepared folder is missing, half-written, of another version, or in the way."""


class RunFolderError(DataError):
    """A run folder is missing, half-written, or does not fit what is asked of it."""


def join_limited(items: Iterable[object], most: int = 5) -> str:
    """Join the first `most` items with commas and say how many more there are."""
    found = [str(item) for item in items]
    more = f" and {len(found) - most:,} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more
