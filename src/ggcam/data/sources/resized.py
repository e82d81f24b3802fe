"""Positions that refer to images of a stated size, on images that may be resized copies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from ggcam.errors import DataError

MAX_ROUNDING_PX = 1.0
"""Largest deviation of a side of a resized copy from the stated aspect ratio."""


def scale_to_images(
    stated: Int[np.ndarray, "n 2"], actual: Int[np.ndarray, "n 2"], files: Sequence[Path]
) -> Float[np.ndarray, "n 2"]:
    """Return the factors that bring positions in images of a stated size to the images at hand.

    Args:
        stated: height and width to which the positions refer.
        actual: height and width of the images.
        files: the image files, for the message.

    Returns:
        Factor along y and along x of each image.

    Raises:
        DataError: an image is no resized copy, because it has another aspect ratio; with the first one.
    """
    scale = actual / stated
    # The sides of a copy are rounded, so compare one side with what the other one makes of it.
    deviation = np.abs(stated * scale[:, ::-1] - actual)
    other = deviation.min(axis=1) > MAX_ROUNDING_PX
    if other.any():
        at = int(np.argmax(other))
        raise DataError(
            f"{other.sum():,} of {len(other):,} images have another aspect ratio than their gaze and boxes refer to",
            where=files[at],
            expected=f"{stated[at, 0]}x{stated[at, 1]} (height x width), or a resized copy",
            got=f"{actual[at, 0]}x{actual[at, 1]}",
            hint="use the original images, not cropped or rotated ones",
        )
    return scale
