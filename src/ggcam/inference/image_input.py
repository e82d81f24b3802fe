"""Images as users pass them to a predictor: files, or grey arrays."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Shaped

from ggcam.data.images import MAX_PIXELS, MIN_SIDE_PX, Grey, read_pixels
from ggcam.errors import ImageError

OVERLAY_SIDE_PX = 1024
"""Maximum longer side of an overlay; a CAM has less detail than that."""

ImageInput = str | os.PathLike[str] | np.ndarray
"""An image to predict: a PNG, JPEG, TIFF or DICOM file; or a grey array (h, w), uint8, uint16 or float in 0..1."""


def read_image_input(image: Path | np.ndarray) -> Shaped[np.ndarray, "h w"]:
    """Read an image file, or check an array.

    Args:
        image: the file or the array.

    Returns:
        Pixels, uint8 or uint16; float32 with their own values for files of arrays.

    Raises:
        ImageError: the file cannot be read, or the array is not a grey image.
    """
    return read_pixels(image) if isinstance(image, Path) else _check_array(image)


def _check_array(array: np.ndarray) -> Grey:
    """Return an array as uint8 or uint16."""
    if array.ndim != 2:
        raise ImageError(
            "the array is not a grey image",
            expected="shape (height, width)",
            got=f"shape {array.shape}",
            hint="convert a colour image to grey; pass several images as a list of arrays",
        )
    if min(array.shape) < MIN_SIDE_PX or array.size > MAX_PIXELS:
        raise ImageError(
            "the array has an unsupported size",
            expected=f"sides of at least {MIN_SIDE_PX} pixels, at most {MAX_PIXELS:,} pixels",
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


def reduce_for_overlay(grey: Grey) -> Shaped[np.ndarray, "y x"]:
    """Reduce an image to the size of its overlay.

    Args:
        grey: shape (h, w).

    Returns:
        The image itself where its longer side is at most `OVERLAY_SIDE_PX`, else a smaller one.
    """
    height, width = grey.shape
    scale = min(1.0, OVERLAY_SIDE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return grey if scale == 1 else cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
