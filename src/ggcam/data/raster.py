"""PNG, JPEG and TIFF files, opened with Pillow -> grey or RGB pixels as stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Shaped
from PIL import ImageFile

from ggcam.data.bit_depth import ALL_BITS, scale_to_all_bits, used_bits
from ggcam.errors import ImageError

_SIXTEEN_BIT_GREY = ("I;16", "I;16B", "I;16L", "I;16N", "I")
"""Modes of 16-bit grey images in Pillow; releases before 10.3 open 16-bit PNG files as "I"."""

_PHOTOMETRIC_INTERPRETATION, _MIN_IS_WHITE = 262, 0
"""Tag of TIFF files, and its value if the smallest value is white."""


@dataclass(frozen=True, eq=False)
class Raster:
    """Pixels of a PNG, JPEG or TIFF file.

    Attributes:
        pixels: values, uint8 or uint16: grey, shape (h, w), or RGB, shape (h, w, 3).
        min_is_white: whether the smallest of the 16-bit values is white; 8-bit values are inverted already.
    """

    pixels: Shaped[np.ndarray, "h w *rgb"]
    min_is_white: bool = False

    @property
    def used_bits(self) -> int | None:
        """Bits that 16-bit values use; None for 8-bit values."""
        return used_bits(self.pixels) if self.pixels.dtype == np.uint16 else None

    def scaled(self, bits: int = ALL_BITS) -> Shaped[np.ndarray, "h w *rgb"]:
        """Return the pixels with the full range of the type from black to white.

        Args:
            bits: bits that the 16-bit values of the data set use. A file that uses more is scaled by its own.

        Returns:
            uint8 or uint16.
        """
        own = self.used_bits
        return self.pixels if own is None else scale_to_all_bits(self.pixels, max(bits, own), self.min_is_white)


def has_sixteen_bits(image: ImageFile.ImageFile) -> bool:
    """Return whether an opened file has 16 bits per pixel and channel, from its header.

    Args:
        image: the file, opened with Pillow.

    Returns:
        True for 16-bit grey and colour.
    """
    return image.mode in _SIXTEEN_BIT_GREY or _has_sixteen_bit_colour(image)


def stores_colour(image: ImageFile.ImageFile) -> bool:
    """Return whether an opened file has channels or a palette for colours, from its header.

    Args:
        image: the file, opened with Pillow.

    Returns:
        False for black and white, and for shades of grey.
    """
    return image.mode not in ("1", "L", "LA", "La", "F", *_SIXTEEN_BIT_GREY)


def read_raster(
    image: ImageFile.ImageFile, path: Path, channels: int = 1, min_size: tuple[int, int] | None = None
) -> Raster:
    """Read the pixels of an opened file, with their own number of bits.

    Args:
        image: the file, opened with Pillow.
        path: its path.
        channels: 3 to keep colours as RGB; 1 to convert them to grey.
        min_size: smallest height and width that the result may have; None to decode all pixels. JPEG files are decoded
            at a half, a quarter or an eighth of the resolution if the result is large enough.

    Returns:
        The pixels.

    Raises:
        ImageError: the type of the pixels is not supported.
        Exception: the file is damaged; decoders do not document what they raise.
    """
    if image.format == "TIFF":
        # For damaged files, Pillow's libtiff writes to the terminal; OpenCV's can be silenced.
        tags: dict[int, object] = dict(getattr(image, "tag_v2", {}))
        pixels = _read_with_opencv(path, channels)
        # OpenCV inverts pixels of 1 and 8 bits itself.
        is_inverse = tags.get(_PHOTOMETRIC_INTERPRETATION) == _MIN_IS_WHITE and pixels.dtype == np.uint16
        return Raster(pixels, is_inverse)
    sixteen_bit_colour = _has_sixteen_bit_colour(image)  # loading empties the list of tiles
    if image.format == "JPEG" and min_size is not None:
        image.draft(None, (min_size[1], min_size[0]))
    image.load()
    if sixteen_bit_colour:
        # Pillow keeps only the upper 8 bits. It has just validated the file, so libpng has nothing to write about.
        return Raster(_read_with_opencv(path, channels))
    if image.mode in ("1", "L", "LA", "La"):
        return Raster(np.array(image.convert("L")))
    if image.mode in _SIXTEEN_BIT_GREY:
        return Raster(np.asarray(image).astype(np.uint16))
    rgb = np.asarray(image.convert("RGB"))
    return Raster(rgb if channels == 3 else cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))


def _has_sixteen_bit_colour(image: ImageFile.ImageFile) -> bool:
    return image.mode in ("LA", "RGB", "RGBA") and any("16" in str(tile.args) for tile in image.tile)


def _read_with_opencv(path: Path, channels: int) -> Shaped[np.ndarray, "h w *rgb"]:
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
    if pixels.shape[2] < 3:
        return pixels[..., 0]
    return cv2.cvtColor(pixels[..., :3], cv2.COLOR_BGR2RGB if channels == 3 else cv2.COLOR_BGR2GRAY)
