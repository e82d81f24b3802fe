"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Where to write a file first. It is renamed when the block has ended well, and gone when it has not.

    Nobody ever finds half a file; and of several processes that write the same one, the last wins.
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield aside
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def atomic_write(path: Path, content: str | bytes) -> None:
    """Write a file, whole or not at all."""
    with atomic_path(path) as aside:
        aside.write_bytes(content.encode() if isinstance(content, str) else content)
