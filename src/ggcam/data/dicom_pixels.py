"""Pixel data of a DICOM file -> stored values: which decoder reads which transfer syntax."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from ggcam.data.dicom_frames import check_pixel_data
from ggcam.data.dicom_reduced import decode_reduced
from ggcam.errors import ImageError

_DECODERS: Mapping[UID, str] = {
    JPEGBaseline8Bit: "pillow",
    JPEGExtended12Bit: "pylibjpeg",
    JPEGLossless: "pylibjpeg",
    JPEGLosslessSV1: "pylibjpeg",
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
    JPEG2000Lossless: "pylibjpeg",
    JPEG2000: "pylibjpeg",
    HTJ2KLossless: "pylibjpeg",
    HTJ2KLosslessRPCL: "pylibjpeg",
    HTJ2K: "pylibjpeg",
    RLELossless: "pylibjpeg",
}
"""Transfer syntax -> pydicom's plugin: always the same one, so that values do not depend on what else is installed.

The fastest one was chosen. Processor time for 2544x3056 pixels of 12 bits, with equal values: JPEG-LS 0.11 s
(pylibjpeg 0.49 s), RLE 0.013 s (pydicom 0.088 s), JPEG 2000 0.75 s (Pillow 0.79 s). JPEG, 8 bits: 0.012 s (pylibjpeg
0.051 s); grey values differ by at most 1, colours by at most 3. Pillow refuses truncated JPEG data, which pylibjpeg
fills up with grey. JPEG Extended, JPEG Lossless and HTJ2K have one plugin.
"""


def decode_pixels(
    dataset: Dataset, path: Path, min_size: tuple[int, int] | None = None
) -> Shaped[np.ndarray, "h w *samples"]:
    """Decode the pixels in this machine's byte order, without clearing the bits outside the stored ones.

    Args:
        dataset: a single image whose attributes of the pixels are valid. A missing transfer syntax is set.
        path: its file, for messages.
        min_size: smallest height and width that the result may have; None to decode all pixels. See
            :func:`ggcam.data.dicom_reduced.decode_reduced`.

    Returns:
        The stored values, signed or unsigned; colours as RGB.

    Raises:
        ImageError: the compression is not supported, or the pixels contradict the header.
        Exception: the pixel data are damaged; decoders do not document what they raise.
    """
    _set_transfer_syntax(dataset)
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available:
        raise ImageError(
            "unsupported compression of the pixels",
            where=path,
            expected="none, RLE, JPEG, JPEG-LS, JPEG 2000 or HTJ2K",
            got=f"the transfer syntax {syntax.name}",
            hint="decompress the file with a DICOM tool, such as gdcmconv --raw",
        )
    check_pixel_data(dataset, path)
    reduced = None if min_size is None else decode_reduced(dataset, min_size)
    if reduced is not None:
        return reduced
    pixels = pixel_array(dataset, correct_unused_bits=False, decoding_plugin=_DECODERS.get(syntax, ""))
    expected = (dataset.Rows, dataset.Columns, *([3] if dataset.SamplesPerPixel == 3 else []))
    if pixels.shape != expected:
        raise ImageError(
            "the pixels contradict the size or the photometric interpretation",
            where=path,
            expected=expected,
            got=pixels.shape,
        )
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _set_transfer_syntax(dataset: Dataset) -> None:
    """Set the transfer syntax of a file without meta header to the one that it was read with."""
    meta = getattr(dataset, "file_meta", None) or FileMetaDataset()
    if "TransferSyntaxUID" not in meta:
        implicit, _ = dataset.original_encoding
        meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        dataset.file_meta = meta
