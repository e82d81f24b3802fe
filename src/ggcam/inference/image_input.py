"""Images as users pass them to a predictor, files or grey arrays -> the frame of the network."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Shaped, UInt8

from ggcam.data.bit_depth import ALL_BITS, used_bits, warn_if_bits_differ
from ggcam.data.decoding import decode_in_worker
from ggcam.data.framing import Fitted, Framing
from ggcam.data.image_limits import MIN_SIDE_PX, max_pixels
from ggcam.data.images import is_original_file, read_pixels, read_pixels_and_bits
from ggcam.data.pixel_arrays import Grey, to_integers, to_uint8
from ggcam.errors import ImageError

OVERLAY_SIDE_PX = 1024
"""Maximum longer side of an overlay; a CAM has less detail than that."""

ImageInput = str | os.PathLike[str] | np.ndarray
"""An image to predict: a PNG, JPEG, TIFF or DICOM file; or a grey array (h, w), uint8, uint16 or float in 0..1."""


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """An image as a network takes it and as its overlay shows it.

    Attributes:
        image: the file or the array.
        image_size: its height and width in pixels.
        framing: how it was brought into the frame.
        framed: the image in the frame.
        shown: the image at the size of its overlay.
    """

    image: Path | np.ndarray
    image_size: tuple[int, int]
    framing: Framing
    framed: UInt8[np.ndarray, "frame_h frame_w"]
    shown: Shaped[np.ndarray, "shown_h shown_w"]


def load_image(image: ImageInput, framing: Framing) -> LoadedImage:
    """Load an image for prediction. A file is decoded in a worker process, which it may crash or block.

    Args:
        image: file or array.
        framing: how to bring it into the network's frame.

    Returns:
        The loaded image.

    Raises:
        ImageError: the file cannot be read, or the array is not a grey image.
    """
    if isinstance(image, np.ndarray):
        pixels = _check_array(image)
        if pixels.dtype == np.uint16:
            warn_if_bits_differ("the array", used_bits(pixels), ALL_BITS)
        return _load(image, pixels, framing)
    return decode_in_worker(_load_file, (Path(image), framing), Path(image))


def load_shown(image: Path | np.ndarray, framing: Framing) -> Shaped[np.ndarray, "shown_h shown_w"]:
    """Load an image at the size of its overlay.

    Args:
        image: file or array.
        framing: how it was brought into the network's frame, which says what is white.

    Returns:
        uint8 or uint16.

    Raises:
        ImageError: as for :func:`load_image`.
    """
    if isinstance(image, np.ndarray):
        return _shown(_check_array(image))
    return decode_in_worker(_read_shown, (image, framing.used_bits), image)


def _load_file(task: tuple[Path, Framing]) -> LoadedImage:
    path, framing = task
    pixels, own_bits = read_pixels_and_bits(path, framing.used_bits)
    if isinstance(framing, Fitted):
        warn_if_bits_differ(path, own_bits, framing.used_bits)
    elif is_original_file(path):
        framing = Fitted(framing.frame)  # a file of the original GG-CAM holds the image in its frame already
    return _load(path, pixels, framing)


def _load(image: Path | np.ndarray, pixels: Shaped[np.ndarray, "h w"], framing: Framing) -> LoadedImage:
    height, width = pixels.shape
    return LoadedImage(image, (height, width), framing, to_uint8(framing.image(pixels)), _shown(pixels))


def _read_shown(task: tuple[Path, int]) -> Shaped[np.ndarray, "shown_h shown_w"]:
    return _shown(read_pixels(*task))


def _check_array(array: np.ndarray) -> Grey:
    """Return an array as uint8 or uint16."""
    if array.ndim != 2:
        raise ImageError(
            "the array is not a grey image",
            expected="shape (height, width)",
            got=f"shape {array.shape}",
            hint="convert a colour image to grey; pass several images as a list of arrays",
        )
    if min(array.shape) < MIN_SIDE_PX or array.size > max_pixels():
        raise ImageError(
            "the array has an unsupported size",
            expected=f"sides of at least {MIN_SIDE_PX} pixels, at most {max_pixels():,} pixels",
            got=f"shape {array.shape}",
        )
    native = array.dtype.newbyteorder("=")
    if native in (np.uint8, np.uint16):
        return np.ascontiguousarray(array, native)
    if not np.issubdtype(array.dtype, np.floating):
        raise ImageError(
            "the array has an unsupported type",
            expected="uint8, uint16, or float from 0 (black) to 1 (white)",
            got=array.dtype,
            hint="scale the values and convert them, for example (image / image.max()).astype(float)",
        )
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 1):  # this way round, NaN fails as well
        raise ImageError(
            "the array has values outside 0..1",
            expected="float from 0 (black) to 1 (white), without NaN",
            got=f"{low:g} to {high:g}",
            hint="divide by the value of white",
        )
    return np.rint(array.astype(np.float64) * 65535).astype(np.uint16)


def _shown(pixels: Shaped[np.ndarray, "h w"]) -> Shaped[np.ndarray, "shown_h shown_w"]:
    """Return an image as uint8 or uint16, reduced to `OVERLAY_SIDE_PX` if its longer side is above that."""
    grey = to_integers(pixels)
    height, width = grey.shape
    scale = min(1.0, OVERLAY_SIDE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return grey if scale == 1 else cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
