"""All errors that a user can cause, in one tree.

A command turns a :class:`GGCamError` into one readable message and exit code 2. Any other exception is a bug.
"""

from __future__ import annotations

from collections.abc import Iterable

_MAX_LINE = 2000
"""Maximum length of a line of a message."""


class GGCamError(Exception):
    """A mistake that the user can fix: in a file, a value, or a combination of options.

    Args:
        what: one sentence that says what the problem is.
        where: the file, `file:row` or option concerned.
        expected: what would be correct.
        got: what was found.
        hint: how to fix it, in the imperative.

    Attributes:
        what: the same sentence.
        details: "where", "expected", "got" and "hint" as texts; without those that were not given.

    Example:
        >>> raise GGCamError("label is not a class", where="cases.csv:7", expected="0 or 1", got=5, hint="fix the row")
        Traceback (most recent call last):
        ...
        ggcam.errors.GGCamError: label is not a class
          where: cases.csv:7
          expected: 0 or 1
          got: 5
          hint: fix the row
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
        given = {"where": where, "expected": expected, "got": got, "hint": hint}
        self.details = {name: _shorten(str(value)) for name, value in given.items() if value is not None}
        super().__init__("\n".join([what, *(f"  {name}: {text}" for name, text in self.details.items())]))


def _shorten(text: str) -> str:
    """Cut off the lines of a text that comes from a file and is as long as a page."""
    lines = [
        line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]}... ({len(line):,} letters)"
        for line in text.split("\n")
    ]
    return "\n".join(lines)


class ConfigError(GGCamError):
    """An invalid option, or an invalid combination of options."""


class DivergenceError(ConfigError):
    """Training diverged: an output of the network or a loss is not finite."""


class DataError(GGCamError):
    """Data on disk do not follow their format."""


class MissingFileError(DataError):
    """A required file or folder is missing."""


class TableError(DataError):
    """A table lacks a column, or has an invalid value in a column."""


class ImageError(DataError):
    """An image cannot be read, or is of an unsupported kind."""


class WeightsError(DataError):
    """A file of weights is damaged, or belongs to another network."""


class PreparedFolderError(DataError):
    """A prepared folder is missing, incomplete, of another version, or blocked by other files."""


class RunFolderError(DataError):
    """A run folder is missing, incomplete, or does not fit the request."""


class StateFileError(DataError):
    """The file in which a service remembers what it has done cannot be read or written."""


class BundleError(DataError):
    """The folder of a bundle is incomplete, has changed, or is of another version."""


class BusyError(GGCamError):
    """Another command is writing to the same folder or file."""


class DicomwebError(GGCamError):
    """A DICOMweb server refuses a request, or answers it wrongly."""


class DicomwebUnavailableError(DicomwebError):
    """A DICOMweb server cannot be reached, is overloaded, or refuses the credentials."""


def join_limited(items: Iterable[object], limit: int = 5) -> str:
    """Join items with commas, and shorten a long list.

    Args:
        items: the items, converted with `str`.
        limit: maximum number of items to write out.

    Returns:
        The joined text, followed by the number of items left out.

    Example:
        >>> join_limited("abcd", limit=2)
        'a, b and 2 more'
    """
    texts = [str(item) for item in items]
    more = f" and {len(texts) - limit:,} more" if len(texts) > limit else ""
    return ", ".join(texts[:limit]) + more
