"""Python's garbage collector, paused while nothing becomes garbage."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the garbage collector inside the block, and let it ignore afterwards all objects that exist at its end.

    Importing torch and timm creates 700,000 objects, and all of them stay. Going through them again and again takes the
    collector a quarter of the time of these imports, and going through them once, after the block, a tenth.

    For the start of a command, which has its process to itself: objects of others would be ignored as well. So nothing
    is paused where torch has been imported before.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
