"""Errors of the operating system in words: no disk space, no permission, no memory, too many open files, no UTF-8."""

from __future__ import annotations

import errno
import shutil
import sys
from pathlib import Path

AGAIN = "run the same command again"
"""How to go on, unless a note of the exception says it better."""

HINTS = {
    errno.ENOSPC: f"free disk space, then {AGAIN}",
    errno.EDQUOT: f"free disk space, then {AGAIN}",
    errno.EFBIG: f"raise the limit of the size of a file (ulimit -f), then {AGAIN}",
    errno.EROFS: "choose a folder that can be written to",
    errno.EACCES: "change the permissions, or choose another file or folder",
    errno.EPERM: "change the permissions, or choose another file or folder",
    errno.EMFILE: f"raise the limit of open files (ulimit -n 4096), then {AGAIN}",
    errno.ENFILE: f"close other programs, then {AGAIN}",
    errno.ENOMEM: "free some memory, or use smaller batches or fewer workers",
}
"""Error number -> how to go on."""

_OUT_OF_MEMORY = ("cannot allocate memory", "failed to map segment", "not enough memory", "can't allocate memory")


def describe_system_error(error: BaseException) -> str | None:
    """Describe an error that the system caused: what, where and how to go on.

    Args:
        error: an exception.

    Returns:
        The message; None for any other error.
    """
    cause = _find_cause(error)
    if isinstance(cause, OSError) and (cause.filename is not None or cause.errno in HINTS):
        lines = [cause.strerror or str(cause)]
        if cause.filename is not None:
            lines.append(f"  where: {cause.filename}")
        if cause.errno == errno.ENOSPC and cause.filename is not None:
            lines.append(f"  got: {_free_space(Path(str(cause.filename)))}")
        if cause.errno in HINTS:
            again = how_to_go_on(error)
            lines.append(f"  hint: {HINTS[cause.errno].replace(AGAIN, again)}")
        return "\n".join(lines)
    if isinstance(cause, UnicodeEncodeError) and sys.getfilesystemencoding() != "utf-8":
        return (
            "a file name has characters that the locale does not have\n"
            f"  got: {cause.object!a}\n"
            f"  hint: set PYTHONUTF8=1, or a locale with UTF-8, then {AGAIN}"
        )
    if isinstance(cause, MemoryError) or any(text in str(cause).lower() for text in _OUT_OF_MEMORY):
        return f"there is not enough memory\n  hint: {HINTS[errno.ENOMEM]}; check the limit with ulimit -v"
    return None


def how_to_go_on(error: BaseException) -> str:
    """Return how to go on after an error: its first note of one line, or to run the same command again.

    Args:
        error: an exception; a worker process adds its traceback as a note of several lines.
    """
    return next((note for note in getattr(error, "__notes__", ()) if "\n" not in note), AGAIN)


def _find_cause(error: BaseException) -> BaseException:
    """Return the error of the system that another error was raised for, such as a failed import; or the error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError | MemoryError | UnicodeEncodeError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return error


def _free_space(path: Path) -> str:
    folder = next((parent for parent in path.absolute().parents if parent.is_dir()), Path("/"))
    return f"{shutil.disk_usage(folder).free / 1e6:,.1f} MB free"
