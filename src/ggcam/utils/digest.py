"""Digests of files."""

from __future__ import annotations

import hashlib
import time
from functools import lru_cache
from pathlib import Path

SETTLED_S = 2.0
"""Age of a file's last change from which a further change would have another time on any file system."""


def file_sha256(path: Path) -> str:
    """Compute the SHA-256 of a file; a second call reads the file again only if it may have changed.

    Args:
        path: the file.

    Returns:
        64 hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    found = path.stat()
    if time.time() - max(found.st_mtime, found.st_ctime) < SETTLED_S:
        return _sha256(path)
    state = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    return _known_sha256(path.absolute(), state)


@lru_cache(maxsize=256)
def _known_sha256(path: Path, _state: tuple[int, ...]) -> str:
    """Compute the SHA-256 of a file once for each of its states, which change with its content."""
    return _sha256(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
