"""Image files of any supported format -> arrays of grey or RGB values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32
from PIL import Image, ImageFile

from ggcam.data import raster
from ggcam.data.bit_depth import ALL_BITS
from ggcam.data.case import MaskName
from ggcam.data.image_errors import image_errors
from ggcam.data.image_limits import check_size, max_pixels, size_error
from ggcam.data.pixel_arrays import Grey, Pixels, to_integers
from ggcam.errors import ImageError
from ggcam.utils.safe_pickle import load_array

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom", ".ima"})
"""Suffixes, in lower case, of image files in a folder. The format of a file is recognised by its content."""

_ARRAY_STARTS = {
    **{b"\x80" + bytes([protocol]): "pickle" for protocol in range(2, 6)},
    b"PK\x03\x04": "pt",
}
"""First bytes -> kind of the files that contain arrays: pickles of each protocol, and zip archives of tensors."""

_HEAD_BYTES = 132
"""First bytes of a file that tell its kind: the preamble of a DICOM file and the word after it."""

_MAX_FIRST_LENGTH = 1024
"""Largest plausible length of the first value of a DICOM file, in bytes."""

_FORMATS = ("PNG", "JPEG", "TIFF")


def read_image(path: Path) -> Grey:
    """Read an image of any supported format, which is recognised by the content of the file.

    PNG, JPEG and TIFF: 8-bit grey is returned as uint8 and 16-bit grey as uint16, with unchanged values; 1-bit grey as
    0 and 255. TIFF files in which the smallest value is white are inverted. Colour is converted to grey (0.299 R +
    0.587 G + 0.114 B) with its own number of bits. Alpha channels and EXIF rotations are ignored.

    DICOM: uint16, 0 black and 65535 white in the display window; see :func:`ggcam.data.dicom.read_dicom`.

    Arrays (a pickled array, or a `.pt` file of the original GG-CAM): uint16, 0 black and 65535 the largest value.

    Args:
        path: image file.

    Returns:
        Shape (height, width), uint8 or uint16. The full range of the type is black to white.

    Raises:
        ImageError: the file is missing, empty, truncated, of another format, has several frames or an unsupported size;
            or it is an array with values that are negative, not finite, or not numbers.
    """
    return to_integers(read_pixels(path))


def read_pixels(
    path: Path, used_bits: int = ALL_BITS, channels: int = 1, min_size: tuple[int, int] | None = None
) -> Pixels:
    """Read an image like :func:`read_image`, but return arrays with their own values, as float32.

    Args:
        path: image file.
        used_bits: bits that the values of 16-bit PNG and TIFF files of the data set use; their largest value becomes
            65535, white. A file whose values use more is scaled by its own bits.
        channels: 3 to keep colours; 1 to convert them to grey.
        min_size: smallest height and width that the result may have; None to decode all pixels. JPEG and JPEG 2000 are
            decoded at a half, a quarter or an eighth of the resolution if the result is large enough; DICOM files only
            if they are grey and their values can be averaged, see :func:`ggcam.data.dicom_reduced.decode_reduced`.

    Returns:
        uint8, uint16 or float32. Grey images have the shape (height, width), also with `channels` 3; colour that is
        kept has the shape (height, width, 3), in the order red, green, blue.

    Raises:
        ImageError: as for :func:`read_image`.
    """
    return read_pixels_and_bits(path, used_bits, channels, min_size)[0]


def read_pixels_and_bits(
    path: Path, used_bits: int = ALL_BITS, channels: int = 1, min_size: tuple[int, int] | None = None
) -> tuple[Pixels, int | None]:
    """Read an image like :func:`read_pixels`, and count the bits that its values use.

    Args:
        path: image file.
        used_bits: as for :func:`read_pixels`.
        channels: as for :func:`read_pixels`.
        min_size: as for :func:`read_pixels`.

    Returns:
        The pixels; and for 16-bit PNG and TIFF files the number of bits that the values use, for other files None.

    Raises:
        ImageError: as for :func:`read_image`.
    """
    with image_errors(path):
        kind = _kind(path)
        if kind == "pickle":
            return _check_values(load_array(path), path), None
        if kind == "pt":
            from ggcam.data.original.pt_files import read_original_pixels

            return _check_values(read_original_pixels(path), path), None
        if kind == "dicom":
            from ggcam.data.dicom import read_dicom

            return read_dicom(path, channels, min_size), None
        with _open(path) as image:
            check_size(image.height, image.width, path)
            if getattr(image, "n_frames", 1) > 1:
                raise ImageError("the file contains several images", where=path, expected="a single image")
            stored = raster.read_raster(image, path, channels, min_size)
        return stored.scaled(used_bits), stored.used_bits


def read_mask(path: Path, name: MaskName) -> Bool[np.ndarray, "h w"]:
    """Read an anatomical mask: any image that is nonzero inside, or a mask of a `.pt` file of the original GG-CAM.

    Args:
        path: image file or `.pt` file.
        name: name of the mask in a `.pt` file.

    Returns:
        Shape (height, width), true inside.

    Raises:
        ImageError: as for :func:`read_image`.
    """
    with image_errors(path):
        if _kind(path) == "pt":
            from ggcam.data.original.pt_files import read_original

            return read_original(path).mask(name)
    return read_pixels(path) != 0


def image_size(path: Path) -> tuple[int, int]:
    """Read the size of an image, from the header alone where the format has one.

    Args:
        path: image file.

    Returns:
        Height and width in pixels.

    Raises:
        ImageError: as for :func:`read_image`, as far as the header shows it.
    """
    with image_errors(path):
        kind = _kind(path)
        if kind in ("pickle", "pt"):
            height, width = read_pixels(path).shape
            return height, width
        if kind == "dicom":
            from ggcam.data.dicom import read_size

            return check_size(*read_size(path), path)
        with _open(path) as image:
            return check_size(image.height, image.width, path)


def is_dicom(head: bytes) -> bool:
    """Return whether a file starts like a DICOM file.

    Without the preamble of 128 bytes, its first element is of group 2 or 8, little-endian, and has a value
    representation of two letters or a short length.

    Args:
        head: first 132 bytes of the file, or more.

    Returns:
        True for a DICOM file.
    """
    if head[128:132] == b"DICM":
        return True
    representation, length = head[4:6], int.from_bytes(head[4:8], "little")
    is_element = (representation.isalpha() and representation.isupper()) or length <= _MAX_FIRST_LENGTH
    return len(head) >= 8 and head[:2] in (b"\x02\x00", b"\x08\x00") and is_element


def is_dicom_file(path: Path) -> bool:
    """Return whether a file starts like a DICOM file; see :func:`is_dicom`.

    Args:
        path: the file.

    Returns:
        True for a DICOM file.

    Raises:
        ImageError: the file cannot be read.
    """
    with image_errors(path), path.open("rb") as file:
        return is_dicom(file.read(_HEAD_BYTES))


def has_sixteen_bits(path: Path) -> bool:
    """Return whether a file is a PNG or TIFF file of 16 bits per pixel and channel, from its header.

    Args:
        path: image file.

    Returns:
        True for 16-bit grey and colour.

    Raises:
        ImageError: as for :func:`read_image`, as far as the header shows it.
    """
    with image_errors(path):
        if _kind(path):
            return False
        with _open(path) as image:
            return raster.has_sixteen_bits(image)


def stores_colour(path: Path) -> bool:
    """Return whether the format of a file leaves room for colours, from its header; they may all be grey.

    Args:
        path: image file.

    Returns:
        False for files of one channel, and for arrays.

    Raises:
        ImageError: as for :func:`read_image`, as far as the header shows it.
    """
    with image_errors(path):
        kind = _kind(path)
        if kind == "dicom":
            from ggcam.data import dicom

            return dicom.stores_colour(path)
        if kind:
            return False
        with _open(path) as image:
            return raster.stores_colour(image)


def is_original_file(path: Path) -> bool:
    """Return whether a file is a `.pt` file, whose image the original GG-CAM has already brought into its frame.

    Args:
        path: image file.

    Returns:
        True for a `.pt` file.

    Raises:
        ImageError: the file is missing or empty.
    """
    with image_errors(path):
        return _kind(path) == "pt"


def _open(path: Path) -> ImageFile.ImageFile:
    """Open an image without decoding it. Pillow's own limit of pixels is raised if ours is above it."""
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, max_pixels())
    try:
        return Image.open(path, formats=_FORMATS)
    except Image.DecompressionBombError:
        raise size_error(path, "more pixels") from None


def _kind(path: Path) -> str:
    """Recognise DICOM ("dicom") and arrays ("pickle", "pt"); return "" for all other files."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise ImageError("the image file is empty", where=path)
    if is_dicom(head):
        return "dicom"
    return next((kind for start, kind in _ARRAY_STARTS.items() if head.startswith(start)), "")


def _check_values(values: np.ndarray, path: Path) -> Float32[np.ndarray, "h w"]:
    if values.ndim != 2:
        raise ImageError("the array is not an image", where=path, expected="2 dimensions", got=f"shape {values.shape}")
    check_size(values.shape[0], values.shape[1], path)
    if not np.isfinite(values).all() or values.min() < 0:
        raise ImageError(
            "the array has invalid values for an image",
            where=path,
            expected="finite numbers >= 0",
            got=f"{np.count_nonzero(~np.isfinite(values)):,} not finite, {np.count_nonzero(values < 0):,} below 0",
        )
    return values.astype(np.float32)
