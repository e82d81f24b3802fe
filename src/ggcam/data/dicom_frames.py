"""Compare the pixel data of a DICOM file with its header before a decoder reads them.

Decoders in C, C++ and Rust trust the numbers in compressed data: some loop for ever, take all memory or end the process
when a number is wrong.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import (
    HTJ2K,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from ggcam.errors import ImageError

_JPEG = (*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes)
_JPEG_2000 = (*JPEG2000TransferSyntaxes, HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL)
_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  "
_RLE_HEADER = struct.Struct("<16L")
_NOT_FRAME_HEADERS = (0xC4, 0xC8, 0xCC)
"""Second bytes of JPEG markers between 0xC0 and 0xCF that do not start a frame header."""


class _DamagedError(Exception):
    """Compressed data do not follow their format."""


def check_pixel_data(dataset: Dataset, path: Path) -> None:
    """Check that pixel data have the size that the header declares.

    Args:
        dataset: a single image with valid attributes of its pixels, and a transfer syntax.
        path: its file, for messages.

    Raises:
        ImageError: there are fewer bytes than the header declares; or a compressed image has another size, or a damaged
            header of its own.
    """
    syntax: UID = dataset.file_meta.TransferSyntaxUID
    size = int(dataset.Rows), int(dataset.Columns)
    if not syntax.is_compressed or syntax.is_deflated:
        _check_length(dataset, path)
        return
    try:
        frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
        if syntax == RLELossless:
            _check_rle(frame, int(dataset.SamplesPerPixel) * int(dataset.BitsAllocated) // 8)
            return
        found = jpeg_size(frame) if syntax in _JPEG else jpeg_2000_size(frame) if syntax in _JPEG_2000 else size
    except (_DamagedError, ValueError, EOFError, StopIteration, struct.error, IndexError):
        raise ImageError("the compressed pixel data are damaged", where=path, got=syntax.name) from None
    if found != size:
        raise ImageError(
            "the compressed image has another size than the DICOM header declares",
            where=path,
            expected="{}x{} pixels".format(*size),
            got="{}x{} pixels".format(*found),
        )


def _check_length(dataset: Dataset, path: Path) -> None:
    pixels = int(dataset.Rows) * int(dataset.Columns) * int(dataset.SamplesPerPixel)
    expected = pixels * int(dataset.BitsAllocated) // 8
    if dataset.PhotometricInterpretation == "YBR_FULL_422":
        expected = expected * 2 // 3
    if len(dataset.PixelData) < expected:
        raise ImageError(
            "the pixel data are truncated",
            where=path,
            expected=f"{expected:,} bytes",
            got=f"{len(dataset.PixelData):,} bytes",
        )


def jpeg_size(content: bytes) -> tuple[int, int]:
    """Read the size of a JPEG or JPEG-LS image from its frame header (ITU-T T.81 B.2.2).

    Args:
        content: the image.

    Returns:
        Height and width in pixels.
    """
    if content[:2] != b"\xff\xd8":
        raise _DamagedError
    at = 2
    while True:
        if content[at] != 0xFF:
            raise _DamagedError
        marker = content[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        length, _precision, height, width = struct.unpack(">HBHH", content[at + 2 : at + 9])
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in _NOT_FRAME_HEADERS):
            return height, width
        if length < 2:
            raise _DamagedError
        at += 2 + length


def jpeg_2000_size(content: bytes) -> tuple[int, int]:
    """Read the size of a JPEG 2000 image from its SIZ marker (ITU-T T.800 A.5.1).

    Args:
        content: a codestream, alone or in the boxes of a JP2 file.

    Returns:
        Height and width in pixels.
    """
    return jpeg_2000_header(content).size


class Jpeg2000Header(NamedTuple):
    """What the SIZ marker of a JPEG 2000 codestream says.

    Attributes:
        size: height and width in pixels.
        single_tile: whether the image is one tile that starts at the origin.
        bits: bits of the first component.
        signed: whether its values are signed.
    """

    size: tuple[int, int]
    single_tile: bool
    bits: int
    signed: bool


def jpeg_2000_header(content: bytes) -> Jpeg2000Header:
    """Read the SIZ marker of a JPEG 2000 image (ITU-T T.800 A.5.1).

    Args:
        content: a codestream, alone or in the boxes of a JP2 file.

    Returns:
        The header.
    """
    at = 0
    if content.startswith(_JP2_SIGNATURE):
        at = 12
        while content[at + 4 : at + 8] != b"jp2c":
            (length,) = struct.unpack(">L", content[at : at + 4])
            if length < 8:
                raise _DamagedError
            at += length
        at += 8
    if content[at : at + 4] != b"\xff\x4f\xff\x51":
        raise _DamagedError
    right, bottom, *origins_and_tile, _components, depth = struct.unpack(">8LHB", content[at + 8 : at + 43])
    left, top, tile_width, tile_height, tile_left, tile_top = origins_and_tile
    single_tile = not any((left, top, tile_left, tile_top)) and tile_width >= right and tile_height >= bottom
    return Jpeg2000Header((bottom - top, right - left), single_tile, depth % 128 + 1, depth >= 128)


def _check_rle(content: bytes, segments: int) -> None:
    """Check the number of segments and where they start (PS3.5 G.5)."""
    count, *offsets = _RLE_HEADER.unpack(content[: _RLE_HEADER.size])
    starts = [*offsets[:count], len(content)]
    is_ascending = all(start < end for start, end in pairwise(starts))
    if count != segments or starts[0] != _RLE_HEADER.size or not is_ascending:
        raise _DamagedError
