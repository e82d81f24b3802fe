"""DICOM file -> 2-D array of grey values as a viewer would display it."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pydicom
from jaxtyping import Bool, Float, Int, Shaped, UInt16
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.utils import pixel_array
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ggcam.data.images import check_size
from ggcam.errors import ImageError

log = logging.getLogger(__name__)

WHITE = 65535
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_HEADER = ["Rows", "Columns", "NumberOfFrames", "PhotometricInterpretation"]


def read_size(path: Path) -> tuple[int, int]:
    """Read the size of an image from the header.

    Args:
        path: DICOM file, with or without preamble.

    Returns:
        Height and width in pixels.

    Raises:
        ImageError: the file does not contain a single image of a supported photometric interpretation.
    """
    header = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(_HEADER))
    return _size(header, path)


def read_dicom(path: Path) -> UInt16[np.ndarray, "h w"]:
    """Read an image as a viewer would display it: 0 black, 65535 white.

    The steps follow the standard (PS3.3 C.11.1, C.11.2): stored values of 8 to 16 bits, signed or unsigned, compressed
    or not; modality LUT, or rescale slope and intercept; then the first VOI LUT if there is one, else the first window,
    else a linear map of the image's own range. MONOCHROME1 is inverted. Pixel padding is black and is not part of the
    range. A window without a valid width is ignored, with a warning in the log. Colour is converted to grey.

    Args:
        path: DICOM file, with or without preamble.

    Returns:
        Shape (height, width), uint16.

    Raises:
        ImageError: the file has no pixels, several frames, or an unsupported size, photometric interpretation, number
            of bits, or VOI LUT function.
    """
    dataset = pydicom.dcmread(path, force=True)
    height, width = check_size(*_size(dataset, path), path)  # before an image too large for memory is decoded
    if "PixelData" not in dataset:
        raise ImageError("the DICOM file has no pixel data", where=path)
    bits = int(dataset.get("BitsStored", 0))
    if not 8 <= bits <= 16:
        raise ImageError("unsupported number of bits", where=path, expected="8 to 16 bits stored", got=bits)
    stored = pixel_array(_with_transfer_syntax(dataset))
    if dataset.PhotometricInterpretation in _COLOUR:
        stored = cv2.cvtColor(stored, cv2.COLOR_RGB2GRAY)
        return np.rint(stored * (WHITE / (2**bits - 1))).astype(np.uint16)
    if stored.shape != (height, width):
        raise ImageError(
            "the pixels are not a single grey image", where=path, expected=(height, width), got=stored.shape
        )
    return _display(stored, dataset, path)


def _display(stored: Shaped[np.ndarray, "h w"], dataset: Dataset, path: Path) -> UInt16[np.ndarray, "h w"]:
    # Every step depends only on the stored value, so it is computed once per possible value instead of per pixel.
    signed = np.issubdtype(stored.dtype, np.signedinteger)
    if stored.itemsize > 2:
        stored = stored.astype(np.int16 if signed else np.uint16)  # at most 16 bits are stored, even in wider integers
    index = stored.view(f"u{stored.itemsize}")
    levels = np.arange(256**stored.itemsize, dtype=index.dtype).view(stored.dtype).astype(np.int64)
    padding = _is_padding(levels, dataset)
    values = _apply_modality(levels, dataset)
    displayed = _apply_window(values, index, padding, dataset, path)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        displayed = 1 - displayed
    return np.where(padding, 0, np.rint(WHITE * displayed)).astype(np.uint16)[index]


def _is_padding(levels: Int[np.ndarray, " n"], dataset: Dataset) -> Bool[np.ndarray, " n"]:
    first = dataset.get("PixelPaddingValue")
    if first is None:
        return np.zeros(levels.shape, dtype=bool)
    last = dataset.get("PixelPaddingRangeLimit")
    last = first if last is None else last
    return (levels >= min(first, last)) & (levels <= max(first, last))


def _apply_modality(levels: Int[np.ndarray, " n"], dataset: Dataset) -> Float[np.ndarray, " n"]:
    if dataset.get("ModalityLUTSequence"):
        return _apply_lut(levels, dataset.ModalityLUTSequence[0])
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    return levels * float(1 if slope is None else slope) + float(0 if intercept is None else intercept)


def _apply_window(
    values: Float[np.ndarray, " n"],
    index: Shaped[np.ndarray, "h w"],
    padding: Bool[np.ndarray, " n"],
    dataset: Dataset,
    path: Path,
) -> Float[np.ndarray, " n"]:
    """Map values to 0 (black end of the window) to 1 (white end); `index` is the index of each pixel's value."""
    if dataset.get("VOILUTSequence"):
        item = dataset.VOILUTSequence[0]
        return np.clip(_apply_lut(values, item) / (2 ** item.LUTDescriptor[2] - 1), 0, 1)
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    window = _first_window(dataset, function, path)
    if window is None:
        used = (np.bincount(index.ravel(), minlength=len(values)) > 0) & ~padding
        if not used.any():
            return np.zeros(values.shape)
        low, high = values[used].min(), values[used].max()
        return np.clip((values - low) / max(high - low, 1e-9), 0, 1)
    centre, width = window
    if function == "LINEAR":
        return np.clip((values - (centre - 0.5)) / max(width - 1, 1e-9) + 0.5, 0, 1)
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0, 1)
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -80, 80)))
    raise ImageError("unknown VOI LUT function", where=path, expected="LINEAR, LINEAR_EXACT or SIGMOID", got=function)


def _first_window(dataset: Dataset, function: str, path: Path) -> tuple[float, float] | None:
    centre, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    if centre is None and width is None:
        return None
    if centre is None or width is None or width <= 0 or (function == "LINEAR" and width < 1):
        log.warning(
            "%s: invalid window (centre %s, width %s); the image's own range is used instead", path, centre, width
        )
        return None
    return centre, width


def _first(value: object) -> float | None:
    """Return the first of one or several numbers; None without any."""
    found = np.atleast_1d(np.asarray([] if value is None else value, dtype=np.float64))
    return float(found[0]) if found.size else None


def _apply_lut(values: Shaped[np.ndarray, " n"], item: Dataset) -> Float[np.ndarray, " n"]:
    """Apply a LUT item: values below its range map to the first entry, values above it to the last."""
    entries, first, _ = item.LUTDescriptor
    entries = entries or 2**16
    data = item.LUTData
    if isinstance(data, bytes):
        data = np.frombuffer(data, dtype="<u2" if len(data) >= 2 * entries else np.uint8)
    table = np.atleast_1d(np.asarray(data, dtype=np.float64))[:entries]
    return table[np.clip(np.rint(values).astype(np.int64) - first, 0, len(table) - 1)]


def _size(header: Dataset, path: Path) -> tuple[int, int]:
    if "Rows" not in header or "Columns" not in header:
        raise ImageError(
            "the DICOM file contains no image: it has no Rows and Columns, or is truncated before them", where=path
        )
    frames = int(header.get("NumberOfFrames") or 1)
    if frames > 1:
        raise ImageError("the DICOM file contains several frames", where=path, expected="one frame", got=frames)
    kind = header.get("PhotometricInterpretation")
    if kind not in ("MONOCHROME1", "MONOCHROME2", *_COLOUR):
        raise ImageError(
            "unsupported photometric interpretation",
            where=path,
            expected="MONOCHROME1, MONOCHROME2, RGB or YBR",
            got=kind,
        )
    return int(header.Rows), int(header.Columns)


def _with_transfer_syntax(dataset: Dataset) -> Dataset:
    """Set the transfer syntax of a file without meta header to the one that it was read with."""
    meta = getattr(dataset, "file_meta", None) or FileMetaDataset()
    if "TransferSyntaxUID" not in meta:
        implicit, _ = dataset.original_encoding
        meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        dataset.file_meta = meta
    return dataset
