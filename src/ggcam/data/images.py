"""Image files -> 2-D arrays of grey values, and arrays -> the frame of the prepared folder."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Shaped, UInt8
from PIL import Image, ImageFile

from ggcam.data.case import Frame, MaskName
from ggcam.errors import ImageError
from ggcam.utils.safe_pickle import load_array
from ggcam.utils.sniff import sniff_wrong_content

Grey = Shaped[np.ndarray, "h w"]
"""An image of one channel, uint8 (0 to 255) or uint16 (0 to 65535)."""

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom"})
"""Suffixes, in lower case, of image files in a folder. The format of a file is recognised by its content."""

MIN_SIDE_PX = 8
MAX_PIXELS = 150_000_000
"""Smallest side and largest number of pixels of an image. Others are refused: not an X-ray, or too large for memory."""

_ARRAY_STARTS = {
    **{b"\x80" + bytes([protocol]): "pickle" for protocol in range(2, 6)},
    b"PK\x03\x04": "pt",
}
"""First bytes -> kind of the files that contain arrays: pickles of each protocol, and zip archives of tensors."""

_FORMATS = ("PNG", "JPEG", "TIFF")
_SIXTEEN_BIT_GREY = ("I;16", "I;16B", "I;16L", "I;16N", "I")
"""Modes of 16-bit grey images in Pillow; releases before 10.3 open 16-bit PNG files as "I"."""


def read_image(path: Path) -> Grey:
    """Read an image of any supported format, which is recognised by the content of the file.

    PNG, JPEG and TIFF: 8-bit grey is returned as uint8 and 16-bit grey as uint16, with unchanged values; 1-bit grey as
    0 and 255. Colour is converted to grey (0.299 R + 0.587 G + 0.114 B) with its own number of bits. Alpha channels and
    EXIF rotations are ignored.

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
    return to_grey(read_pixels(path))


def read_pixels(path: Path) -> Shaped[np.ndarray, "h w"]:
    """Read an image like :func:`read_image`, but return arrays with their own values, as float32.

    Args:
        path: image file.

    Returns:
        Shape (height, width), uint8, uint16 or float32.

    Raises:
        ImageError: as for :func:`read_image`.
    """
    with _image_errors(path):
        kind = _kind(path)
        if kind == "pickle":
            return _check_values(load_array(path), path)
        if kind == "pt":
            from ggcam.data.original.pt_files import read_original_pixels

            return _check_values(read_original_pixels(path), path)
        if kind == "dicom":
            from ggcam.data.dicom import read_dicom

            return read_dicom(path)
        with Image.open(path, formats=_FORMATS) as image:
            check_size(image.height, image.width, path)
            if getattr(image, "n_frames", 1) > 1:
                raise ImageError("the file contains several images", where=path, expected="a single image")
            return _grey(image, path)


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
    with _image_errors(path):
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
    with _image_errors(path):
        kind = _kind(path)
        if kind in ("pickle", "pt"):
            height, width = read_pixels(path).shape
            return height, width
        if kind == "dicom":
            from ggcam.data.dicom import read_size

            return check_size(*read_size(path), path)
        with Image.open(path, formats=_FORMATS) as image:
            return check_size(image.height, image.width, path)


def is_original_file(path: Path) -> bool:
    """Return whether a file is a `.pt` file, whose image the original GG-CAM has already brought into its frame.

    Args:
        path: image file.

    Returns:
        True for a `.pt` file.

    Raises:
        ImageError: the file is missing or empty.
    """
    with _image_errors(path):
        return _kind(path) == "pt"


def to_grey(pixels: Shaped[np.ndarray, "h w"]) -> Grey:
    """Scale the values of a float32 array to uint16, with 0 black and the largest value white.

    Args:
        pixels: float32 values >= 0; uint8 and uint16 are returned unchanged.

    Returns:
        uint8 or uint16.
    """
    if pixels.dtype != np.float32:
        return pixels
    peak = float(pixels.max(initial=0))
    return np.rint(pixels * (65535 / peak if peak > 0 else 0)).astype(np.uint16)


def to_uint8(image: Grey) -> UInt8[np.ndarray, "h w"]:
    """Convert an image to 8 bits per pixel.

    Args:
        image: uint16, where 65535 becomes 255, rounded to the nearest value; uint8 is returned unchanged.

    Returns:
        uint8.
    """
    return image if image.dtype == np.uint8 else cv2.convertScaleAbs(image, alpha=1 / 257)


def resize_to_frame(image: Grey, frame: Frame) -> Shaped[np.ndarray, "frame_h frame_w"]:
    """Fit a whole image into the frame as :meth:`Frame.fit` places it; the rest is black.

    Images are reduced by area averaging, to avoid aliasing, and enlarged by linear interpolation.

    Args:
        image: shape (h, w), uint8 or uint16.
        frame: target size.

    Returns:
        Shape (frame.height_px, frame.width_px), of the image's type.
    """
    height, width = frame.fitted_size(*image.shape)
    shrinks = height <= image.shape[0] and width <= image.shape[1]
    return _fit(image, frame, cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def resize_mask(mask: Bool[np.ndarray, "h w"], frame: Frame) -> Bool[np.ndarray, "frame_h frame_w"]:
    """Fit a mask into the frame like its image. A pixel is inside if the mask is true at its centre.

    Args:
        mask: shape (h, w), true inside.
        frame: target size.

    Returns:
        Shape (frame.height_px, frame.width_px); false off the image.
    """
    return _fit(mask.view(np.uint8), frame, cv2.INTER_NEAREST_EXACT).view(bool)


def _fit(image: Grey, frame: Frame, interpolation: int) -> Shaped[np.ndarray, "frame_h frame_w"]:
    height, width = frame.fitted_size(*image.shape)
    affine = frame.fit(*image.shape)
    top, left = int(affine.shift_y_px), int(affine.shift_x_px)
    framed = np.zeros(frame.shape, image.dtype)
    framed[top : top + height, left : left + width] = cv2.resize(image, (width, height), interpolation=interpolation)
    return framed


def _grey(image: ImageFile.ImageFile, path: Path) -> Grey:
    if image.format == "TIFF":
        # For damaged files, Pillow's libtiff writes to the terminal; OpenCV's can be silenced.
        return _grey_by_opencv(path)
    sixteen_bit_colour = image.mode in ("LA", "RGB", "RGBA") and any("16" in str(tile.args) for tile in image.tile)
    image.load()
    if sixteen_bit_colour:
        # Pillow keeps only the upper 8 bits. It has just validated the file, so libpng has nothing to write about.
        return _grey_by_opencv(path)
    if image.mode in ("1", "L", "LA", "La"):
        return np.array(image.convert("L"))
    if image.mode in _SIXTEEN_BIT_GREY:
        return np.asarray(image).astype(np.uint16)
    return cv2.cvtColor(np.asarray(image.convert("RGB")), cv2.COLOR_RGB2GRAY)


def _grey_by_opencv(path: Path) -> Grey:
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    finally:
        cv2.utils.logging.setLogLevel(level)
    if pixels is None:
        raise ValueError("the pixels are damaged or truncated")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError("unsupported pixel type", where=path, expected="8 or 16 bits, unsigned", got=pixels.dtype)
    if pixels.ndim == 2:
        return pixels
    return pixels[..., 0] if pixels.shape[2] < 3 else cv2.cvtColor(pixels[..., :3], cv2.COLOR_BGR2GRAY)


def _kind(path: Path) -> str:
    """Recognise DICOM ("dicom") and arrays ("pickle", "pt"); return "" for all other files.

    A DICOM file without the preamble of 128 bytes starts with group 2 or 8, little-endian.
    """
    with path.open("rb") as file:
        head = file.read(132)
    if not head:
        raise ImageError("the image file is empty", where=path)
    if head[128:] == b"DICM" or head[:2] in (b"\x02\x00", b"\x08\x00"):
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


def check_size(height_px: int, width_px: int, path: Path) -> tuple[int, int]:
    """Check that an image is neither too small nor too large.

    Args:
        height_px: height in pixels.
        width_px: width in pixels.
        path: image file, for the message.

    Returns:
        Height and width.

    Raises:
        ImageError: a side is below `MIN_SIDE_PX`, or the image has more than `MAX_PIXELS` pixels.
    """
    if min(height_px, width_px) < MIN_SIDE_PX or height_px * width_px > MAX_PIXELS:
        raise ImageError(
            "unsupported image size",
            where=path,
            expected=f"sides of at least {MIN_SIDE_PX} pixels, and at most {MAX_PIXELS:,} pixels in total",
            got=f"{height_px}x{width_px} pixels",
        )
    return height_px, width_px


@contextmanager
def _image_errors(path: Path) -> Iterator[None]:
    """Convert any exception of a decoder to an ImageError with the path and the reason, and suppress its warnings.

    Decoders do not document which exceptions they raise for damaged files, so all are caught, around decoding only.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError("the image file does not exist", where=path) from None
    except IsADirectoryError:
        raise ImageError("a folder instead of an image file", where=path) from None
    except Image.UnidentifiedImageError:
        instead = sniff_wrong_content(path)
        raise ImageError(
            "unknown image format",
            where=path,
            expected="PNG, JPEG, TIFF or DICOM",
            got=instead.what if instead else "other content, or a file truncated in its header",
            hint=instead and instead.hint,
        ) from None
    except Exception as error:
        raise ImageError("the image cannot be decoded", where=path, got=f"{error or type(error).__name__}") from error
