"""Grey JPEG and JPEG 2000 pixel data of DICOM files, decoded at a lower resolution than they have.

Pillow decodes them: it is the only well-kept package that gives access to the resolution levels of JPEG 2000 with the
values of all bits.
"""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO

import numpy as np
from jaxtyping import Shaped
from PIL import Image, Jpeg2KImagePlugin
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import JPEG2000, JPEG2000Lossless, JPEGBaseline8Bit

from ggcam.data.dicom_frames import jpeg_2000_header

MAX_HALVINGS = 3
"""Sides are divided by 8 at most, as libjpeg can."""


def halvings(size: tuple[int, int], min_size: tuple[int, int]) -> int:
    """Return how often the sides of an image can be halved.

    Args:
        size: height and width.
        min_size: height and width that must remain.

    Returns:
        0 to `MAX_HALVINGS`.

    Example:
        >>> halvings((3056, 2544), (1024, 896)), halvings((3056, 2544), (448, 448)), halvings((512, 512), (448, 448))
        (1, 2, 0)
    """
    ratio = min(side // least for side, least in zip(size, min_size, strict=True))
    return min(MAX_HALVINGS, max(1, ratio).bit_length() - 1)


def decode_reduced(dataset: Dataset, min_size: tuple[int, int]) -> Shaped[np.ndarray, "small_h small_w"] | None:
    """Decode the pixels at a half, a quarter or an eighth of the resolution.

    JPEG 2000 leaves out its highest resolution levels (ITU-T T.800 B.5), JPEG the higher frequencies of each block.
    Pixels of a lower level of JPEG 2000 lie on every second pixel of the next one, not between them: the image moves by
    up to half a pixel for each halving.

    Args:
        dataset: a single image with valid attributes of its pixels, whose size has been compared with its pixel data.
        min_size: smallest height and width that the result may have.

    Returns:
        The stored values, signed or unsigned. None if all pixels must be decoded: the compression is another one; the
        image is in colour, small, or in tiles; averages of its values would mean something else, because there are
        padding values or bits outside the stored ones; or it cannot be decoded this way.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    count = halvings((dataset.Rows, dataset.Columns), min_size)
    if not count or syntax not in (JPEG2000Lossless, JPEG2000, JPEGBaseline8Bit) or not _has_plain_values(dataset):
        return None
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    with suppress(Exception):  # a damaged image is reported by the decoder of all pixels
        return _decode_jpeg(frame, min_size) if syntax == JPEGBaseline8Bit else _decode_jpeg_2000(frame, dataset, count)
    return None


def _has_plain_values(dataset: Dataset) -> bool:
    bits = dataset.BitsStored
    is_plain = dataset.SamplesPerPixel == 1 and dataset.get("HighBit", bits - 1) == bits - 1
    return is_plain and "PixelPaddingValue" not in dataset


def _decode_jpeg(frame: bytes, min_size: tuple[int, int]) -> Shaped[np.ndarray, "small_h small_w"] | None:
    with Image.open(BytesIO(frame), formats=("JPEG",)) as image:
        image.draft(None, (min_size[1], min_size[0]))
        return np.array(image) if image.mode == "L" else None


def _decode_jpeg_2000(frame: bytes, dataset: Dataset, count: int) -> Shaped[np.ndarray, "small_h small_w"] | None:
    header = jpeg_2000_header(frame)
    bits, signed = int(dataset.BitsStored), bool(dataset.PixelRepresentation)
    # Pillow puts the tiles of a reduced image in wrong places.
    if not header.single_tile or (header.bits, header.signed) != (bits, signed):
        return None
    # Pillow rounds the sides where JPEG 2000 rounds them up, and fails if that differs. It does not for one halving.
    while any(_half_rounded(side, count) != -(-side >> count) for side in header.size):
        count -= 1
    with Image.open(BytesIO(frame), formats=("JPEG2000",)) as image:
        if image.mode not in ("L", "I;16") or not isinstance(image, Jpeg2KImagePlugin.Jpeg2KImageFile):
            return None
        image.reduce = count
        unsigned = np.array(image)
    # Pillow adds half of the range to signed values and fills 8 or 16 bits from the top.
    values = unsigned >> (8 * unsigned.itemsize - bits)
    return (values.astype(np.int32) - 2 ** (bits - 1)).astype(f"i{unsigned.itemsize}") if signed else values


def _half_rounded(side: int, count: int) -> int:
    return (side + (1 << count >> 1)) >> count
