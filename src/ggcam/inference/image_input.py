"""Images as users pass them to a predictor, files or arrays -> the frame and the channels of the network."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Shaped, UInt8

from ggcam.data.bit_depth import ALL_BITS, used_bits, warn_if_bits_differ
from ggcam.data.case import Frame
from ggcam.data.decoding import decode_in_worker
from ggcam.data.framing import Fitted, Framing, Strided
from ggcam.data.image_limits import MIN_SIDE_PX, max_pixels
from ggcam.data.image_statistics import ImageStatistics, colourfulness, image_statistics
from ggcam.data.images import image_size, is_original_file, read_pixels, read_pixels_and_bits, stores_colour
from ggcam.data.pixel_arrays import Pixels, to_channels, to_integers, to_uint8
from ggcam.data.view_position import read_view
from ggcam.errors import ImageError

OVERLAY_SIDE_PX = 1024
"""Maximum longer side of an overlay; a CAM has less detail than that."""

_OVERSAMPLING = 2
"""Pixels on each side of a pixel of the frame that a decoded image must have, so that averages of pixels remain."""

ImageInput = str | os.PathLike[str] | np.ndarray
"""An image to predict: a PNG, JPEG, TIFF or DICOM file; or an array, grey (h, w) or RGB (h, w, 3), uint8, uint16 or
float in 0..1. A network for colours sees a grey image in three equal channels, one for grey images sees colours in
grey."""


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """An image as a network takes it and as its overlay shows it.

    Attributes:
        image: the file or the array.
        image_size: its height and width in pixels.
        framing: how it was brought into the frame.
        framed: the image in the frame, with the channels that the network takes.
        statistics: what the image looks like.
        shown: the image at the size of its overlay; in colour if it has colours that the network sees.
        view: from which side it was taken, see :mod:`ggcam.data.view_position`; None if it is not known.
    """

    image: Path | np.ndarray
    image_size: tuple[int, int]
    framing: Framing
    framed: UInt8[np.ndarray, "frame_h frame_w *channels"]
    statistics: ImageStatistics
    shown: Shaped[np.ndarray, "shown_h shown_w *rgb"]
    view: str | None = None


def load_image(image: ImageInput, framing: Framing, reduced_resolution: bool = False) -> LoadedImage:
    """Load an image for prediction. A file is decoded in a worker process, which it may crash or block.

    Args:
        image: file or array.
        framing: how to bring it into the network's frame.
        reduced_resolution: whether large JPEG and JPEG 2000 images are decoded at a lower resolution, see
            :func:`ggcam.load_predictor`.

    Returns:
        The loaded image.

    Raises:
        ImageError: the file cannot be read, or the array is not an image.
    """
    if isinstance(image, np.ndarray):
        pixels = _check_array(image)
        if pixels.dtype == np.uint16:
            warn_if_bits_differ("the array", used_bits(pixels), ALL_BITS)
        return _load(image, to_channels(pixels, framing.channels), framing, _colour(pixels), pixels.shape[:2])
    return decode_in_worker(_load_file, (Path(image), framing, reduced_resolution), Path(image))


def load_shown(image: Path | np.ndarray, framing: Framing) -> Shaped[np.ndarray, "shown_h shown_w *rgb"]:
    """Load an image at the size of its overlay.

    Args:
        image: file or array.
        framing: how it was brought into the network's frame, which says what is white, and whether colours are kept.

    Returns:
        Grey or RGB, uint8 or uint16.

    Raises:
        ImageError: as for :func:`load_image`.
    """
    if isinstance(image, np.ndarray):
        return _shown(to_channels(_check_array(image), framing.channels), image.shape[:2])
    return decode_in_worker(_read_shown, (image, framing.used_bits, framing.channels), image)


def _load_file(task: tuple[Path, Framing, bool]) -> LoadedImage:
    path, framing, reduced = task
    raw_size = image_size(path) if reduced else None
    min_size = None if raw_size is None or isinstance(framing, Strided) else _min_size(raw_size, framing.frame)
    pixels, own_bits = read_pixels_and_bits(path, framing.used_bits, framing.channels, min_size)
    if isinstance(framing, Fitted):
        warn_if_bits_differ(path, own_bits, framing.used_bits)
    elif is_original_file(path):
        framing = Fitted(framing.frame)  # a file of the original GG-CAM holds the image in its frame already
    # Grey values are decoded for themselves, as for training; colours only to see whether there are any.
    in_colour = (
        read_pixels(path, channels=3, min_size=min_size) if framing.channels == 1 and stores_colour(path) else pixels
    )
    loaded = _load(path, pixels, framing, _colour(in_colour), raw_size or pixels.shape[:2])
    return replace(loaded, view=read_view(path))


def _min_size(raw_size: tuple[int, int], frame: Frame) -> tuple[int, int]:
    """Return the size from which an image looks the same to the network, and its overlay has the same size."""
    height, width = (
        max(_OVERSAMPLING * fitted, shown)
        for fitted, shown in zip(frame.fitted_size(*raw_size), _shown_size(raw_size), strict=True)
    )
    return height, width


def _colour(pixels: Pixels) -> float:
    return colourfulness(to_uint8(to_integers(pixels))) if pixels.ndim == 3 else 0.0


def _load(
    image: Path | np.ndarray, pixels: Pixels, framing: Framing, colour: float, raw_size: tuple[int, int]
) -> LoadedImage:
    framed = to_uint8(framing.image(pixels) if isinstance(framing, Strided) else framing.image(pixels, raw_size))
    statistics = image_statistics(framed, raw_size, framing.affine(*raw_size), colour)
    return LoadedImage(image, raw_size, framing, framed, statistics, _shown(pixels, raw_size))


def _read_shown(task: tuple[Path, int, int]) -> Shaped[np.ndarray, "shown_h shown_w *rgb"]:
    pixels = read_pixels(*task)
    return _shown(pixels, pixels.shape[:2])


def _check_array(array: np.ndarray) -> Pixels:
    """Return an array as uint8 or uint16."""
    if array.ndim != 2 and array.shape[2:] != (3,):
        raise ImageError(
            "the array is not an image",
            expected="shape (height, width) for grey, or (height, width, 3) for RGB",
            got=f"shape {array.shape}",
            hint="pass several images as a list of arrays",
        )
    if min(array.shape[:2]) < MIN_SIDE_PX or array.shape[0] * array.shape[1] > max_pixels():
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


def _shown(pixels: Pixels, raw_size: tuple[int, int]) -> Shaped[np.ndarray, "shown_h shown_w *rgb"]:
    """Return an image as uint8 or uint16, reduced to `OVERLAY_SIDE_PX` if its longer side is above that."""
    image, size = to_integers(pixels), _shown_size(raw_size)
    return image if size == image.shape[:2] else cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)


def _shown_size(raw_size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, OVERLAY_SIDE_PX / max(raw_size))
    return max(1, round(raw_size[0] * scale)), max(1, round(raw_size[1] * scale))
