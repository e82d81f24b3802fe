"""How many bits the values of a data set's 16-bit PNG and TIFF files use, decided once for all of its images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ggcam.data.bit_depth import ALL_BITS
from ggcam.data.decoding import decoding_guard
from ggcam.data.images import has_sixteen_bits, read_pixels_and_bits
from ggcam.errors import ImageError
from ggcam.utils.parallel import Guard, parallel_map

MAX_FILES = 256
"""Number of files, evenly spaced over the data set, that are looked at."""

_SUFFIXES = frozenset({".png", ".tif", ".tiff"})
_GUARD: Guard[Path, int | None] = decoding_guard(lambda path: [path], lambda _path, _error: None)


def find_used_bits(images: Sequence[Path], workers: int = 0, channels: int = 1) -> int:
    """Find how many bits the values of the 16-bit files use, from at most `MAX_FILES` of them.

    Args:
        images: raw image file of each case.
        workers: number of processes; 0 for one per core.
        channels: 3 if colours are kept, whose values use more bits than grey.

    Returns:
        8 to 16 bits, enough for the largest value found; 16 without 16-bit files.
    """
    candidates = [path for path in images if path.suffix.lower() in _SUFFIXES]
    sample = candidates[:: -(-len(candidates) // MAX_FILES) or 1]
    largest = 0
    count = partial(_used_bits, channels=channels)
    for bits in parallel_map(count, [path for path in sample if _has_sixteen_bits(path)], workers, _GUARD):
        largest = max(largest, bits or 0)
        if largest == ALL_BITS:
            break
    return largest or ALL_BITS


def _has_sixteen_bits(path: Path) -> bool:
    try:
        return has_sixteen_bits(path)
    except ImageError:  # reported when the image is prepared
        return False


def _used_bits(path: Path, channels: int) -> int | None:
    try:
        return read_pixels_and_bits(path, channels=channels)[1]
    except ImageError:
        return None
