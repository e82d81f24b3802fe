"""Keep the memory of large arrays for the next ones, instead of returning it to the system each time.

The system clears each page of memory that it hands out, which costs more than many an operation on it. Outputs do not
change. Only the GNU C library on Linux can be told; elsewhere nothing happens.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
"""Numbers of the options in malloc.h of the GNU C library."""

_UNLIMITED, _DEFAULT_MMAP_MAX = -1, 2**16

LARGEST_BYTES = 2**25
"""Largest array whose memory is kept by default: 32 MiB, the limit of the library."""

KEPT_BYTES = 2**27
"""Freed memory that :func:`keep_freed_memory` keeps at most: 128 MiB, four copies of an image of 8 megapixels in 32
bits."""

_kept_bytes = 2 * LARGEST_BYTES  # what the library comes to by itself, once it has freed large arrays


def keep_freed_memory() -> bool:
    """Let this process keep the memory of freed arrays, up to `KEPT_BYTES`.

    A folder of 48 large images was predicted in 24.4 s of processor time instead of 25.0 s (medians of three, two idle
    cores).

    Returns:
        Whether the C library can do that.
    """
    global _kept_bytes
    library = _c_library()
    if library is None or not library.mallopt(_MMAP_THRESHOLD, LARGEST_BYTES):
        return False
    _kept_bytes = KEPT_BYTES
    return bool(library.mallopt(_TRIM_THRESHOLD, _kept_bytes))


@contextmanager
def all_freed_memory_kept() -> Iterator[None]:
    """Keep all memory that is freed within the block, of arrays of any size, and return it to the system at its end.

    For work that repeats: the layers of a network need arrays of the same sizes in each step. On two idle cores, an
    epoch of a ResNet-50 at 1536x1280 took 10.4 s instead of 14.6 s, with a peak of 6.8 GB instead of 5.7 GB; of a
    ResNet-18 at 224x224, 12.0 s instead of 13.0 s with the same peak. A step with gradient checkpointing, whose arrays
    have more sizes, needed up to 1.5 times its memory.
    """
    library = _c_library()
    if library is None:
        yield
        return
    library.mallopt(_MMAP_MAX, 0)
    library.mallopt(_TRIM_THRESHOLD, _UNLIMITED)
    try:
        yield
    finally:
        # Once it has been told anything, the library adapts no threshold any more.
        library.mallopt(_MMAP_MAX, _DEFAULT_MMAP_MAX)
        library.mallopt(_MMAP_THRESHOLD, LARGEST_BYTES)
        library.mallopt(_TRIM_THRESHOLD, _kept_bytes)
        library.malloc_trim(0)


def _c_library() -> ctypes.CDLL | None:
    """Return the GNU C library of this process; None where there is another one."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
