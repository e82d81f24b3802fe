"""Locks: one command at a time writes to a folder or a file."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ggcam.errors import BusyError
from ggcam.utils.atomic import remove_leftovers

LOCK_TIMEOUT_S = 10.0
"""Time to wait for a lock: the worker processes of a killed command hold it for a few seconds more."""

_CANNOT_LOCK = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}
"""Errors of a read-only folder, and of a file system without locks."""


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of an existing folder, the file `lock` in it, and remove what killed processes have left in it.

    Args:
        folder: the folder.

    Yields:
        Nothing; the lock is released when the block ends.

    Raises:
        BusyError: another command holds the lock.
    """
    with _locked(folder / "lock", folder):
        remove_leftovers(folder)
        yield


@contextmanager
def locked_target(path: Path) -> Iterator[None]:
    """Hold the lock of a file or folder that is replaced as a whole: the hidden file `.<name>.lock` beside it.

    Args:
        path: the file or folder; it need not exist, and its parent folder is created if missing.

    Yields:
        Nothing; the lock is released when the block ends.

    Raises:
        BusyError: another command holds the lock.
    """
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_name(f".{target.name}.lock"), path):
        remove_leftovers(target.parent, target.name)
        yield


@contextmanager
def _locked(lock_file: Path, where: Path) -> Iterator[None]:
    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=LOCK_TIMEOUT_S)
    except Timeout:
        raise BusyError(
            "another ggcam command is at work here",
            where=where,
            hint="wait until it is finished, or choose another output",
        ) from None
    except NotImplementedError:
        pass
    except OSError as error:
        if error.errno not in _CANNOT_LOCK:
            raise
    try:
        yield
    finally:
        if lock.is_locked:
            # While it is held: FileLock takes no lock on a file that was removed while it waited.
            with suppress(OSError):  # Windows does not remove a file in use
                lock_file.unlink()
        lock.release()
