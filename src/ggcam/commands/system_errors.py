"""Errors of the operating system in words: no disk space, no permission, no memory, too many open files."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

HINTS = {
    errno.ENOSPC: "free disk space, then run the same command again",
    errno.EDQUOT: "free disk space, then run the same command again",
    errno.EFBIG: "raise the limit of the size of a file (ulimit -f), then run the same command again",
    errno.EROFS: "choose a folder that can be written to",
    errno.EACCES: "change the permissions, or choose another file or folder",
    errno.EPERM: "change the permissions, or choose another file or folder",
    errno.EMFILE: "raise the limit of open files (ulimit -n 4096), then run the same command again",
    errno.ENFILE: "close other programs, then run the same command again",
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
            lines.append(f"  hint: {HINTS[cause.errno]}")
        return "\n".join(lines)
    if isinstance(cause, MemoryError) or any(text in str(cause).lower() for text in _OUT_OF_MEMORY):
        return f"there is not enough memory\n  hint: {HINTS[errno.ENOMEM]}; check the limit with ulimit -v"
    return None


def _find_cause(error: BaseException) -> BaseException:
    """Return the error of the system that another error was raised for, such as a failed import; or the error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError | MemoryError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return error


def _free_space(path: Path) -> str:
    folder = next((parent for parent in path.absolute().parents if parent.is_dir()), Path("/"))
    return f"{shutil.disk_usage(folder).free / 1e6:,.1f} MB free"
