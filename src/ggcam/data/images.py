"""Image files -> 2-D arrays, and arrays -> the frame of the prepared folder."""

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
"""One channel, uint8 (0..255) or uint16 (0..65535)."""

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom"})
"""Endings, in lower case, by which a folder is searched for images. What a file is, its content says."""

MIN_SIDE_PX = 8
MAX_PIXELS = 150_000_000
"""An image with a shorter side, or with more pixels, is refused: it is no X-ray, or would fill the memory."""

_ARRAY_STARTS = {
    **{b"\x80" + bytes([protocol]): "pickle" for protocol in range(2, 6)},
    b"PK\x03\x04": "pt",
}
"""First bytes -> kind of the files that hold arrays: pickles by their protocol, and zip archives of tensors."""

_FORMATS = ("PNG", "JPEG", "TIFF")
_SIXTEEN_BIT_GREY = ("I;16", "I;16B", "I;16L", "I;16N", "I")
"""Pillow's names; releases before 10.3 open 16-bit PNG files as "I"."""


def read_image(path: Path) -> Grey:
    """Read one image of any supported format, recognised by its content and not by its name.

    PNG, JPEG and TIFF: 8-bit grey comes as uint8 and 16-bit grey as uint16, value by value; 1-bit grey as 0 and 255.
    Colour turns grey (0.299 R + 0.587 G + 0.114 B) at its own depth, alpha is dropped, an EXIF rotation is ignored.

    DICOM: uint16, 0 black and 65535 white over the display window; see :func:`ggcam.data.dicom.read_dicom`.

    Arrays (a pickle of one, or a `.pt` file of the original GG-CAM): uint16, 0 black and 65535 the largest value.

    Args:
        path: the image file.

    Returns:
        Shape (height, width), uint8 or uint16, the full range of the type standing for black to white.

    Raises:
        ImageError: the file is missing, empty, truncated, of another kind, has several frames, or a size out of bounds;
            or it is an array with values below 0, not finite, or not of numbers.
    """
    return to_grey(read_pixels(path))


def read_pixels(path: Path) -> Shaped[np.ndarray, "h w"]:
    """As :func:`read_image`, but arrays come with their own values, as float32.

    Raises:
        ImageError: as for :func:`read_image`.
    """
    with _explained(path):
        kind = _kind(path)
        if kind == "pickle":
            return _checked_values(load_array(path), path)
        if kind == "pt":
            from ggcam.data.original.pt_files import read_original_pixels

            return _checked_values(read_original_pixels(path), path)
        if kind == "dicom":
            from ggcam.data.dicom import read_dicom, read_size

            _checked_size(*read_size(path))
            return read_dicom(path)
        with Image.open(path, formats=_FORMATS) as image:
            _checked_size(image.height, image.width)
            if getattr(image, "n_frames", 1) > 1:
                raise ImageError("the file holds several images", where=path, expected="a single one")
            return _grey(image, path)


def read_mask(path: Path, name: MaskName) -> Bool[np.ndarray, "h w"]:
    """One anatomical mask, true inside: any image that is not 0 there, or what a `.pt` file holds of that name.

    Raises:
        ImageError: as for :func:`read_image`.
    """
    with _explained(path):
        if _kind(path) == "pt":
            from ggcam.data.original.pt_files import read_original

            return read_original(path).mask(name)
    return read_pixels(path) != 0


def image_size(path: Path) -> tuple[int, int]:
    """Height and width in pixels, from the header alone where the format has one.

    Raises:
        ImageError: as for :func:`read_image`, as far as the header tells.
    """
    with _explained(path):
        kind = _kind(path)
        if kind in ("pickle", "pt"):
            height, width = read_pixels(path).shape
            return height, width
        if kind == "dicom":
            from ggcam.data.dicom import read_size

            return _checked_size(*read_size(path))
        with Image.open(path, formats=_FORMATS) as image:
            return _checked_size(image.height, image.width)


def is_original_file(path: Path) -> bool:
    """Whether it is a `.pt` file, whose image the original GG-CAM has already brought into its frame.

    Raises:
        ImageError: the file is missing or empty.
    """
    with _explained(path):
        return _kind(path) == "pt"


def to_grey(pixels: Shaped[np.ndarray, "h w"]) -> Grey:
    """Values of an array, float32, over the full range of uint16: 0 is black, the largest white; uint8, uint16 stay."""
    if pixels.dtype != np.float32:
        return pixels
    peak = float(pixels.max(initial=0))
    return np.rint(pixels * (65535 / peak if peak > 0 else 0)).astype(np.uint16)


def to_uint8(image: Grey) -> UInt8[np.ndarray, "h w"]:
    """The image with 8 bits a pixel: 65535 becomes 255, rounded to the nearest; uint8 stays as it is."""
    return image if image.dtype == np.uint8 else cv2.convertScaleAbs(image, alpha=1 / 257)


def resize_to_frame(image: Grey, frame: Frame) -> Shaped[np.ndarray, "frame_h frame_w"]:
    """Fit the whole image into the frame, where :meth:`Frame.fit` says; what remains is black.

    Shrunk by averaging over areas, so that nothing aliases; enlarged linearly.

    Args:
        image: shape (h, w), uint8 or uint16.
        frame: the target size.

    Returns:
        Shape (frame.height_px, frame.width_px), of the image's type.
    """
    height, width = frame.fitted_size(*image.shape)
    shrinks = height <= image.shape[0] and width <= image.shape[1]
    return _fit(image, frame, cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def resize_mask(mask: Bool[np.ndarray, "h w"], frame: Frame) -> Bool[np.ndarray, "frame_h frame_w"]:
    """Fit a mask into the frame as its image is: a pixel is inside when the mask is at its centre.

    Args:
        mask: shape (h, w), true inside.
        frame: the target size.

    Returns:
        Shape (frame.height_px, frame.width_px); false beyond the image.
    """
    return _fit(mask.view(np.uint8), frame, cv2.INTER_NEAREST_EXACT).view(bool)


def _fit(image: Grey, frame: Frame, interpolation: int) -> Shaped[np.ndarray, "frame_h frame_w"]:
    height, width = frame.fitted_size(*image.shape)
    place = frame.fit(*image.shape)
    top, left = int(place.shift_y_px), int(place.shift_x_px)
    framed = np.zeros(frame.shape, image.dtype)
    framed[top : top + height, left : left + width] = cv2.resize(image, (width, height), interpolation=interpolation)
    return framed


def _grey(image: ImageFile.ImageFile, path: Path) -> Grey:
    if image.format == "TIFF":
        # Pillow's libtiff writes to the terminal about broken files; OpenCV's can be kept from it.
        return _grey_by_opencv(path)
    sixteen_bit_colour = image.mode in ("LA", "RGB", "RGBA") and any("16" in str(tile.args) for tile in image.tile)
    image.load()
    if sixteen_bit_colour:
        # Pillow keeps the upper 8 bits alone. It has just found the file sound, so that libpng has nothing to write.
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
        raise ValueError("the pixels are broken or cut off")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError("unusable pixels", where=path, expected="8 or 16 bits, unsigned", got=pixels.dtype)
    if pixels.ndim == 2:
        return pixels
    return pixels[..., 0] if pixels.shape[2] < 3 else cv2.cvtColor(pixels[..., :3], cv2.COLOR_BGR2GRAY)


def _kind(path: Path) -> str:
    """Tell DICOM ("dicom") and arrays ("pickle", "pt") from the rest ("").

    A DICOM file without the 128 bytes of preamble starts with group 2 or 8, little-endian.
    """
    with path.open("rb") as file:
        head = file.read(132)
    if not head:
        raise ImageError("the image file is empty", where=path)
    if head[128:] == b"DICM" or head[:2] in (b"\x02\x00", b"\x08\x00"):
        return "dicom"
    return next((kind for start, kind in _ARRAY_STARTS.items() if head.startswith(start)), "")


def _checked_values(values: np.ndarray, path: Path) -> Float32[np.ndarray, "h w"]:
    if values.ndim != 2:
        raise ImageError("the array is no image", where=path, expected="2 dimensions", got=f"shape {values.shape}")
    _checked_size(*values.shape)
    if not np.isfinite(values).all() or values.min() < 0:
        raise ImageError(
            "the array holds values that no image has",
            where=path,
            expected="finite numbers of 0 or more",
            got=f"{np.count_nonzero(~np.isfinite(values)):,} not finite, {np.count_nonzero(values < 0):,} below 0",
        )
    return values.astype(np.float32)


def _checked_size(height_px: int, width_px: int) -> tuple[int, int]:
    if min(height_px, width_px) < MIN_SIDE_PX or height_px * width_px > MAX_PIXELS:
        raise ValueError(
            f"an image of {height_px}x{width_px} pixels; sides of {MIN_SIDE_PX} pixels or more and at most "
            f"{MAX_PIXELS:,} pixels are admitted"
        )
    return height_px, width_px


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises into an ImageError with the path and the reason, and keep its warnings quiet.

    The decoders promise no particular exceptions for broken files, hence the wide net, cast over decoding alone.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError("there is no such image file", where=path) from None
    except IsADirectoryError:
        raise ImageError("an image file is expected here, not a folder", where=path) from None
    except Image.UnidentifiedImageError:
        instead = sniff_wrong_content(path)
        so = f"but {instead.what}" if instead else "or is cut off early"
        what = f"the file is none of PNG, JPEG, TIFF and DICOM, {so}"
        raise ImageError(what, where=path, hint=instead and instead.hint) from None
    except Exception as error:
        raise ImageError("the image cannot be decoded", where=path, got=f"{error or type(error).__name__}") from error
