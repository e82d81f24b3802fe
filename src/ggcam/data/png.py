"""The PNG files of a prepared folder, written in a form that is fast to read.

Each row is stored as its difference to the row above (the PNG filter "up") and compressed without a search for repeated
strings, because image noise has none. Writing and reading take little more than half the time of OpenCV's defaults, and
the files are smaller. ISA-L decompresses such a file in half the time that OpenCV takes.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from isal import isal_zlib
from jaxtyping import Shaped

from ggcam.errors import PreparedFolderError

_OPTIONS = [
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _NO_FILTER, _UP = 0, 0, 2
"""Codes of a colour type and two filters in the PNG standard (ISO/IEC 15948)."""


def write_png(path: Path, pixels: Shaped[np.ndarray, "h w"]) -> None:
    """Write an image.

    Args:
        path: PNG file.
        pixels: uint8 or uint16.

    Raises:
        PreparedFolderError: the file cannot be written.
    """
    _, encoded = cv2.imencode(".png", pixels, _OPTIONS)
    try:
        path.write_bytes(encoded.tobytes())
    except OSError as error:
        raise PreparedFolderError(
            "the prepared image cannot be written",
            where=path,
            got=error.strerror,
            hint="free disk space, then run the same command again to continue",
        ) from None


def read_png(path: Path) -> np.ndarray | None:
    """Read any PNG file; files of :func:`write_png` are read fastest.

    Args:
        path: PNG file.

    Returns:
        uint8 or uint16, as OpenCV returns it; None if the file is missing or not an image.
    """
    try:
        file = path.read_bytes()
    except OSError:
        return None
    pixels = _decode_up_filtered(file)
    if pixels is None and file:  # other filters, interlaced, colour; or damaged
        pixels = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    return pixels


def _decode_up_filtered(file: bytes) -> Shaped[np.ndarray, "h w"] | None:
    """Decode a file of one channel in which every row has the filter "up"; return None for any other file."""
    try:
        (_, header), *packed, (last, _) = _chunks(file)
        width, height, bits, *kind = struct.unpack(">IIBBBBB", header)
        if kind != [_GREY, 0, 0, 0] or bits not in (8, 16) or last != b"IEND" or any(n != b"IDAT" for n, _ in packed):
            return None
        size = width * bits // 8
        rows = isal_zlib.decompress(b"".join(data for _, data in packed), bufsize=height * (size + 1))
        filtered = np.frombuffer(rows, np.uint8).reshape(height, size + 1)
    except (struct.error, ValueError, isal_zlib.error):  # pyright: ignore[reportGeneralTypeIssues]  # isal types it as an instance
        return None
    filters, differences = filtered[:, 0], filtered[:, 1:]
    # The first row has no row above it.
    if filters[0] not in (_NO_FILTER, _UP) or (filters[1:] != _UP).any():
        return None
    values = np.empty((height, size), np.uint8)
    values[0] = differences[0]
    for (above, row), difference in zip(pairwise(values), differences[1:], strict=True):
        np.add(above, difference, out=row)
    return values if bits == 8 else values.view(">u2").astype(np.uint16)


def _chunks(file: bytes) -> list[tuple[bytes, memoryview]]:
    """Return the name and data of each chunk of a PNG file.

    Raises:
        ValueError: the file is not a sequence of chunks.
    """
    if not file.startswith(_SIGNATURE):
        raise ValueError
    found, start = [], len(_SIGNATURE)
    while start < len(file):
        length, name = struct.unpack_from(">I4s", file, start)
        data = memoryview(file)[start + 8 : start + 8 + length]
        if len(data) < length:
            raise ValueError
        found.append((name, data))
        start += length + 12
    return found
