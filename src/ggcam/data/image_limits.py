"""Limits for image files, so that none takes the program's time or memory: pixels, seconds and bytes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ggcam.errors import ConfigError, ImageError
from ggcam.utils.limits import Limits

MEGAPIXELS_VARIABLE, SECONDS_VARIABLE = "GGCAM_MAX_MEGAPIXELS", "GGCAM_DECODE_SECONDS"
"""Environment variables that change the limits."""

MIN_SIDE_PX = 8
"""Smallest side of an image. One with a smaller side is not an X-ray."""

_MEGAPIXELS, _SECONDS = 100.0, 10.0
_SECONDS_PER_BYTE = 1e-6
_BYTES_PER_PIXEL, _OTHER_BYTES = 16, 256 * 2**20
"""Memory that decoding an image takes: a colour DICOM file of 16 bits takes most."""


def max_pixels() -> int:
    """Return the largest number of pixels of an image: 100 million, or GGCAM_MAX_MEGAPIXELS.

    Returns:
        Number of pixels.

    Raises:
        ConfigError: the variable is not a positive number.
    """
    return round(1e6 * _variable(MEGAPIXELS_VARIABLE, _MEGAPIXELS))


def image_limits(files: Iterable[Path]) -> Limits:
    """Return the time and memory for decoding image files one after the other.

    The processor time is 10 s for each file, or GGCAM_DECODE_SECONDS, and 1 s more for each megabyte. The memory
    suffices for an image of :func:`max_pixels` pixels.

    Args:
        files: the files.

    Returns:
        The limits.

    Raises:
        ConfigError: an environment variable is not a positive number.
    """
    each = _variable(SECONDS_VARIABLE, _SECONDS)
    seconds = sum(each + _SECONDS_PER_BYTE * _size(file) for file in files)
    return Limits(seconds, _OTHER_BYTES + _BYTES_PER_PIXEL * max_pixels())


def check_size(height_px: int, width_px: int, path: Path) -> tuple[int, int]:
    """Check that an image is neither too small nor too large.

    Args:
        height_px: height in pixels.
        width_px: width in pixels.
        path: image file, for the message.

    Returns:
        Height and width.

    Raises:
        ImageError: a side is below `MIN_SIDE_PX`, or the image has more than :func:`max_pixels` pixels.
    """
    if min(height_px, width_px) < MIN_SIDE_PX or height_px * width_px > max_pixels():
        raise size_error(path, f"{height_px}x{width_px} pixels")
    return height_px, width_px


def size_error(path: Path, got: str) -> ImageError:
    """Make the error about an image that is too small or too large.

    Args:
        path: image file.
        got: its size.

    Returns:
        The error.
    """
    return ImageError(
        "unsupported image size",
        where=path,
        expected=f"sides of at least {MIN_SIDE_PX} pixels, and at most {max_pixels():,} pixels in total",
        got=got,
        hint=f"to allow larger images, set the environment variable {MEGAPIXELS_VARIABLE} to millions of pixels",
    )


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # reported when it is read
        return 0


def _variable(name: str, default: float) -> float:
    given = os.environ.get(name)
    if not given:
        return default
    try:
        value = float(given)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise ConfigError("invalid environment variable", where=name, expected="a number above 0", got=given)
    return value
