"""Bits that the values of 16-bit PNG and TIFF files use: X-rays of 10 to 14 bits are often stored without scaling."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt16

log = logging.getLogger(__name__)

WHITE = 65535
ALL_BITS, MIN_BITS = 16, 8
"""Bits of the type, and the fewest that values are taken to use: an image with smaller values is dark."""

DARK_BITS = 2
"""An image whose values use this many bits less than others is at most a quarter as bright."""


def used_bits(pixels: UInt16[np.ndarray, "h w *rgb"]) -> int:
    """Count the bits that the values of an image use.

    Args:
        pixels: stored values.

    Returns:
        The smallest number of bits that holds the largest value, 8 to 16.

    Example:
        >>> used_bits(np.array([[0, 4095]], dtype=np.uint16))
        12
    """
    return max(MIN_BITS, int(pixels.max(initial=0)).bit_length())


def scale_to_all_bits(
    pixels: UInt16[np.ndarray, "h w *rgb"], bits: int, min_is_white: bool = False
) -> UInt16[np.ndarray, "h w *rgb"]:
    """Scale values so that the largest one of their bits becomes 65535, white.

    Args:
        pixels: stored values; those that need more bits become white.
        bits: number of bits that the values use, 8 to 16.
        min_is_white: whether the smallest value is white, as in some TIFF files.

    Returns:
        0 black to 65535 white.

    Example:
        >>> scale_to_all_bits(np.array([[0, 4095]], dtype=np.uint16), 12, min_is_white=True)
        array([[65535,     0]], dtype=uint16)
    """
    if bits < ALL_BITS:
        top = 2**bits - 1
        scaled = np.rint(np.arange(top + 1) * (WHITE / top)).astype(np.uint16)
        pixels = scaled[np.minimum(pixels, top)]
    return WHITE - pixels if min_is_white else pixels


def warn_if_bits_differ(image: object, own: int | None, expected: int) -> None:
    """Log a warning if a file uses more bits than those that a network was trained on, or so few that it is dark.

    Args:
        image: the file, or words for an array.
        own: bits that its values use; None for other files than 16-bit PNG and TIFF.
        expected: bits that the values of the training images use.
    """
    if own is None:
        return
    if own > expected:
        log.warning(
            "%s: the values use %d bits, but those of the training images %d; all %d bits are used, so that the "
            "brightness differs",
            *(image, own, expected, own),
        )
    elif own <= expected - DARK_BITS:
        log.warning(
            "%s: the values use %d of %d bits, so that the image is dark; if it should not be, scale them to 16 bits",
            *(image, own, expected),
        )


def describe_disagreement(own: Sequence[int], chosen: int) -> str | None:
    """Describe files of a data set that use other bits than were chosen for all of them.

    Args:
        own: bits that the values of each 16-bit file use.
        chosen: bits that were chosen for the data set.

    Returns:
        One sentence; None if the files agree.
    """
    more, fewer = sum(bits > chosen for bits in own), sum(bits <= chosen - DARK_BITS for bits in own)
    if not more and not fewer:
        return None
    parts = [f"{more:,} use more and are scaled by themselves"] if more else []
    parts += [f"{fewer:,} use at most {chosen - DARK_BITS} and are dark"] if fewer else []
    return f"the values of 16-bit images are taken to use {chosen} bits, but of {len(own):,}, {' and '.join(parts)}"
