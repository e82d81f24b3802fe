"""DICOM file -> grey or RGB values as a viewer would display them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt16
from pydicom.dataset import Dataset

from ggcam.data.dicom_attributes import read_number
from ggcam.data.dicom_display import WHITE, display_grey, shows_own_range
from ggcam.data.dicom_file import read_dicom_file, read_dicom_header
from ggcam.data.dicom_pixels import decode_pixels
from ggcam.data.image_limits import check_size
from ggcam.errors import ImageError

log = logging.getLogger(__name__)

_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_HEADER = ["Rows", "Columns", "NumberOfFrames", "PhotometricInterpretation"]
_REQUIRED = ("SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation")


def read_size(path: Path) -> tuple[int, int]:
    """Read the size of an image from the header.

    Args:
        path: DICOM file, with or without preamble.

    Returns:
        Height and width in pixels.

    Raises:
        ImageError: the file does not contain a single image of a supported photometric interpretation.
    """
    with _quiet_pydicom():
        return _size(read_dicom_header(path, _HEADER), path)


def stores_colour(path: Path) -> bool:
    """Return whether an image has three samples per pixel, from the header.

    Args:
        path: DICOM file, with or without preamble.

    Returns:
        True for RGB and YBR.

    Raises:
        ImageError: as for :func:`read_size`.
    """
    with _quiet_pydicom():
        return read_dicom_header(path, _HEADER).get("PhotometricInterpretation") in _COLOUR


def read_dicom(
    path: Path, channels: int = 1, min_size: tuple[int, int] | None = None
) -> UInt16[np.ndarray, "h w *rgb"]:
    """Read an image as a viewer would display it: 0 black, 65535 white.

    The steps follow the standard (PS3.3 C.11.1, C.11.2): stored values of 8 to 16 bits, signed or unsigned, compressed
    or not; modality LUT, or rescale slope and intercept; then the first usable VOI LUT, whose largest entry is white,
    else the first valid window, else a linear map of the image's own range. Rescale and window may be in the functional
    groups of an enhanced object. MONOCHROME1 and the presentation LUT shape INVERSE invert, once. Pixel padding is
    black and is not part of the range. Colours are scaled by the number of their bits.

    Attributes that contradict each other or the pixels are ignored where the image can be displayed without them; the
    log then has a warning, which starts with the path: an unusable LUT or window, a rescale slope of 0, a high bit or
    pixels above the stored bits, a presentation LUT shape that contradicts the photometric interpretation, or a single
    sample per pixel in an image that claims colour.

    Args:
        path: DICOM file, with or without preamble.
        channels: 3 to keep colours; 1 to convert them to grey.
        min_size: smallest height and width that the result may have; None to decode all pixels. Grey JPEG and JPEG 2000
            images are decoded at a half, a quarter or an eighth of the resolution if the result is large enough, unless
            the range of their own pixels is displayed.

    Returns:
        uint16: grey, shape (height, width), or RGB, shape (height, width, 3).

    Raises:
        ImageError: the file has no pixels, several frames, or an unsupported size, photometric interpretation,
            compression, number of bits, or VOI LUT function; or an attribute that describes the pixels is missing or
            contradicts another one.
    """
    with _quiet_pydicom():
        dataset = read_dicom_file(path)
        check_size(*_size(dataset, path), path)  # before an image too large for memory is decoded
        bits = _check_pixel_attributes(dataset, path)
        if min_size is not None and shows_own_range(dataset, path):
            min_size = None  # averages have a smaller range than the pixels
        stored = decode_pixels(dataset, path, min_size)
        if dataset.PhotometricInterpretation in _COLOUR:
            kept = stored if channels == 3 else cv2.cvtColor(stored, cv2.COLOR_RGB2GRAY)
            displayed = np.rint(np.arange(256**kept.itemsize) * (WHITE / (2**bits - 1)))
            return cv2.LUT(kept, np.minimum(displayed, WHITE).astype(np.uint16))
        return display_grey(stored, dataset, bits, path)


def _size(header: Dataset, path: Path) -> tuple[int, int]:
    if "Rows" not in header or "Columns" not in header:
        raise ImageError(
            "the DICOM file contains no image: it has no Rows and Columns, or is truncated before them", where=path
        )
    frames = int(read_number(header, "NumberOfFrames", path) or 1)
    if frames > 1:
        raise ImageError("the DICOM file contains several frames", where=path, expected="one frame", got=frames)
    kind = header.get("PhotometricInterpretation")
    if kind not in (*_GREY, *_COLOUR):
        raise ImageError(
            "unsupported photometric interpretation",
            where=path,
            expected="MONOCHROME1, MONOCHROME2, RGB or YBR",
            got=kind,
        )
    height, width = (int(read_number(header, name, path) or 0) for name in ("Rows", "Columns"))
    return height, width


def _check_pixel_attributes(dataset: Dataset, path: Path) -> int:
    """Check the attributes that describe the pixels, and return the number of bits stored."""
    if "PixelData" not in dataset:
        raise ImageError("the DICOM file has no pixel data", where=path)
    numbers = {name: read_number(dataset, name, path) for name in _REQUIRED}
    if missing := [name for name, number in numbers.items() if number is None]:
        raise ImageError(
            "the DICOM file lacks attributes that describe its pixels", where=path, got=f"no {', '.join(missing)}"
        )
    samples, allocated, bits, signed = (int(number or 0) for number in numbers.values())
    if not 8 <= bits <= 16:
        raise ImageError("unsupported number of bits", where=path, expected="8 to 16 bits stored", got=bits)
    if not bits <= allocated <= 32 or allocated % 8:
        raise ImageError(
            "Bits Allocated contradicts Bits Stored",
            where=path,
            expected=f"8, 16 or 32 bits, at least {bits}",
            got=allocated,
        )
    kind = dataset.PhotometricInterpretation
    if kind in _COLOUR and samples == 1:
        log.warning("%s: one sample per pixel contradicts %s; the image is read as grey", path, kind)
        dataset.PhotometricInterpretation = "MONOCHROME2"
    elif samples != (3 if kind in _COLOUR else 1):
        raise ImageError(
            f"the number of samples per pixel contradicts the photometric interpretation {kind}",
            where=path,
            expected=3 if kind in _COLOUR else 1,
            got=samples,
        )
    elif kind in _COLOUR and (signed or allocated > 16):
        raise ImageError(
            "unsupported colour pixels",
            where=path,
            expected="unsigned, 8 or 16 bits allocated",
            got=f"{'signed' if signed else 'unsigned'}, {allocated} bits allocated",
        )
    return bits


_reading: ContextVar[bool] = ContextVar("reading", default=False)
_LOGGERS = ("pydicom", "pydicom.pixels.decoders.base", "pydicom.pixels.utils", "openjpeg.utils", "pylibjpeg.utils")
"""They log oddities of a file, and tracebacks, without its name. What matters is logged here, with the path."""

for _name in _LOGGERS:
    logging.getLogger(_name).addFilter(lambda _: not _reading.get())


@contextmanager
def _quiet_pydicom() -> Iterator[None]:
    token = _reading.set(True)
    try:
        yield
    finally:
        _reading.reset(token)
