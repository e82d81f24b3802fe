"""Offer bytes to other processes as a file, in memory where the system can, so that nothing stays on the disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def memory_file(content: bytes) -> Iterator[Path]:
    """Offer bytes under a path while the context lasts.

    On Linux the file lives in memory alone and ends with this process, however it ends. Elsewhere it is a temporary
    file that is removed with its folder.

    Args:
        content: content of the file.

    Yields:
        Path that this process and its worker processes can read.

    Example:
        >>> with memory_file(b"abc") as path:
        ...     path.read_bytes()
        b'abc'
    """
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryDirectory(prefix="ggcam-") as folder:  # mkdtemp: readable for this user alone
            path = Path(folder) / "image"
            path.write_bytes(content)
            yield path
        return
    with os.fdopen(os.memfd_create("image"), "wb") as file:
        file.write(content)
        file.flush()
        yield Path(f"/proc/{os.getpid()}/fd/{file.fileno()}")
