"""Files that are written completely or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to, and rename it to `path` when the block succeeds.

    The content is on the disk before the file is renamed, so that a kill or a power failure at any moment leaves the
    earlier file or the new one. If the block fails, the temporary file is removed and `path` stays as it was. If
    several processes write the same file, the last one wins.

    Args:
        path: file to create or replace; its folder is created if missing.

    Yields:
        Temporary path in the same folder.

    Raises:
        OSError: the file cannot be written; `filename` is `path`.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush_to_disk(temporary)
        os.replace(temporary, path)
    except OSError as error:
        if error.filename is None or Path(error.filename) == temporary:
            error.filename = str(path)
        raise
    finally:
        with suppress(OSError):  # it does not exist, or neither does its folder
            temporary.unlink()


@contextmanager
def naming_place(path: Path | str) -> Iterator[None]:
    """Name a file or folder in errors of the system that name none, as that of a full disk does.

    Args:
        path: where the block writes.

    Yields:
        Nothing.

    Raises:
        OSError: as the block raises it, with a `filename`.
    """
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def atomic_write(path: Path, content: str | bytes | memoryview) -> None:
    """Write a file completely or not at all.

    Args:
        path: file to create or replace; its folder is created if missing.
        content: bytes, or text to encode as UTF-8.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def remove_leftovers(folder: Path, name: str | None = None) -> None:
    """Remove the temporary files of :func:`atomic_path` that killed processes have left.

    Call this only where no other process writes; see :func:`ggcam.utils.locks.locked`.

    Args:
        folder: folder to search, with all folders in it; or without them if `name` is given.
        name: only the temporary files of this file.
    """
    pattern = re.compile(rf"{'.+' if name is None else re.escape(name)}\.\d+\.part")
    for path in folder.rglob("*.part") if name is None else folder.glob("*.part"):
        if pattern.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)


def _flush_to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
