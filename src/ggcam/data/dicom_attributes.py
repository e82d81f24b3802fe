"""Read attributes of a DICOM dataset that devices fill in wrongly: numbers, items of functional groups, and LUTs."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped
from pydicom.dataset import Dataset

log = logging.getLogger(__name__)

_WORD = 2**16


def read_numbers(dataset: Dataset, keyword: str, path: Path) -> list[float]:
    """Read the finite numbers of an attribute.

    Args:
        dataset: dataset or item.
        keyword: keyword of the attribute.
        path: DICOM file, for the warning.

    Returns:
        Its values; none if it is missing or empty, or, with a warning, if it is not made of finite numbers.
    """
    try:
        value = dataset.get(keyword)
        numbers = np.atleast_1d(np.asarray([] if value is None else value, dtype=np.float64))
    except (ValueError, TypeError, OverflowError):  # text that is not a number
        numbers = np.array([np.nan])
    if not np.isfinite(numbers).all():
        log.warning("%s: %s is not a number and is ignored", path, keyword)
        return []
    return numbers.tolist()


def read_number(dataset: Dataset, keyword: str, path: Path) -> float | None:
    """Read the first number of an attribute.

    Args:
        dataset: dataset or item.
        keyword: keyword of the attribute.
        path: DICOM file, for the warning.

    Returns:
        The number; None if it is missing, empty or invalid.
    """
    return next(iter(read_numbers(dataset, keyword, path)), None)


def functional_group(dataset: Dataset, keyword: str) -> Dataset | None:
    """Find a functional group of the first frame, as enhanced objects have them (PS3.3 C.7.6.16).

    Args:
        dataset: the dataset.
        keyword: keyword of the group's sequence, such as "FrameVOILUTSequence".

    Returns:
        The first item of the group, of the frame itself or shared by all frames; None without one.
    """
    for name in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        frames = dataset.get(name)
        group = frames[0].get(keyword) if frames else None
        if group:
            return group[0]
    return None


@dataclass(frozen=True, eq=False)
class Lut:
    """A lookup table.

    Attributes:
        first: value that the first entry belongs to.
        entries: entries, >= 0; the last one is for all larger values.
    """

    first: int
    entries: Float[np.ndarray, " entries"]

    def apply(self, values: Shaped[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Look values up; those below the table's range map to the first entry, those above it to the last.

        Args:
            values: the values, rounded to integers.

        Returns:
            Entry of each value.
        """
        return self.entries[np.clip(np.rint(values).astype(np.int64) - self.first, 0, len(self.entries) - 1)]


def read_lut(
    dataset: Dataset, keyword: str, values: Shaped[np.ndarray, " n"], path: Path, little_endian: bool
) -> Lut | None:
    """Read the first usable LUT of a sequence.

    Args:
        dataset: dataset with the sequence.
        keyword: keyword of the sequence.
        values: values that the table will be applied to; their range shows whether its first value is signed.
        path: DICOM file, for the warning.
        little_endian: byte order of the file.

    Returns:
        The table; None without a sequence, or, with a warning, if no item has a descriptor and at least two entries.
    """
    items = dataset.get(keyword)
    if not items:
        return None
    for item in items:
        lut = _lut(item, float(values.min()), float(values.max()), little_endian)
        if lut is not None:
            return lut
    log.warning("%s: %s has no usable table and is ignored", path, keyword)
    return None


def _lut(item: Dataset, lowest: float, highest: float, little_endian: bool) -> Lut | None:
    try:
        count, first, bits = (int(number) for number in item.get("LUTDescriptor") or ())
    except (ValueError, TypeError):
        return None
    count = count % _WORD or _WORD  # 0 stands for 65536; a large count is negative if it was written as signed
    entries = _entries(item.get("LUTData"), count, bits, little_endian)
    if len(entries) < 2 or entries.min() == entries.max():
        return None
    first = closest_reading(first, lowest, highest, span=len(entries))
    return Lut(first, entries)


def _entries(data: object, count: int, bits: int, little_endian: bool) -> Float[np.ndarray, " entries"]:
    """Decode LUT data, which are bytes or 16-bit words; entries of 8 bits may be packed, two in a word."""
    if data is None:
        return np.zeros(0)
    if not isinstance(data, bytes):
        words = np.atleast_1d(np.asarray(data, dtype=np.int64)) % _WORD
        data, little_endian = words.astype("<u2").tobytes(), True
    packed = len(data) < 2 * count and (bits <= 8 or len(data) in (count, count + 1))
    if packed:
        return np.frombuffer(data, np.uint8)[:count].astype(np.float64)
    words = np.frombuffer(data[: len(data) // 2 * 2], "<u2" if little_endian else ">u2")
    return words[:count].astype(np.float64)


def closest_reading(value: int, lowest: float, highest: float, span: int = 1) -> int:
    """Correct a 16-bit number that was written with the wrong sign.

    Args:
        value: the number as read, signed or unsigned.
        lowest: smallest value that occurs.
        highest: largest value that occurs.
        span: number of consecutive values that start at the number.

    Returns:
        The number, or the number plus or minus 65536, whichever reaches the range of the values; itself if none does.
    """
    readings = (value, value - _WORD, value + _WORD)
    return next((first for first in readings if first <= highest and first + span - 1 >= lowest), value)
