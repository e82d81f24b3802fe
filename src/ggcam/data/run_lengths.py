"""Run-length encodings of masks: that of COCO, and that of SIIM-ACR with relative starts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int

_FIRST_CHARACTER, _VALUE_BITS, _MORE, _SIGN = 48, 5, 0x20, 0x10
"""COCO's compressed counts: each character holds 5 bits of a number, least significant first, and whether more follow.
The highest bit of the last character is the sign."""


def decompress_counts(text: str) -> tuple[int, ...]:
    """Decode the compressed counts of COCO's run-length encoding.

    Numbers are written with a variable number of characters; from the third run on (counting from 0), each number is
    the difference to the one two places before.

    Args:
        text: the string under `counts`.

    Returns:
        Lengths of the runs.

    Raises:
        ValueError: the string has an invalid character, or ends within a number.

    Example:
        >>> decompress_counts("342")
        (3, 4, 2)
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - _FIRST_CHARACTER
        if not 0 <= code < 2 * _MORE:
            raise ValueError(f"invalid character {character!r}")
        value |= (code & (_MORE - 1)) << shift
        shift += _VALUE_BITS
        if code & _MORE:
            continue
        if code & _SIGN:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("the last number is cut off")
    return tuple(counts)


def draw_counts(counts: Sequence[int], height_px: int, width_px: int) -> Bool[np.ndarray, "h w"]:
    """Draw a mask from alternating run lengths, the first of them outside, pixel by pixel down the columns.

    Args:
        counts: lengths of the runs, >= 0.
        height_px: height of the mask.
        width_px: width of the mask.

    Returns:
        True inside.

    Raises:
        ValueError: the runs do not cover the mask exactly.

    Example:
        >>> draw_counts([1, 2, 3], 2, 3).astype(int)
        array([[0, 1, 0],
               [1, 0, 0]])
    """
    if min(counts, default=0) < 0 or sum(counts) != height_px * width_px:
        raise ValueError(f"the runs cover {sum(counts):,} pixels, not {height_px}x{width_px}")
    inside = np.arange(len(counts)) % 2 == 1
    return np.repeat(inside, np.asarray(counts, dtype=np.int64)).reshape(width_px, height_px).T


def parse_relative_runs(text: str) -> Int[np.ndarray, "runs 2"]:
    """Parse the runs of SIIM-ACR.

    Unlike in other run-length encodings, each start is relative to the *end* of the previous run.

    Args:
        text: "start length start length ...".

    Returns:
        First pixel and end (exclusive) of each run, counted from 0, down the columns.

    Raises:
        ValueError: the text is not pairs of non-negative whole numbers.

    Example:
        >>> parse_relative_runs("2 3 4 1")
        array([[ 2,  5],
               [ 9, 10]])
    """
    try:
        numbers = np.array(text.split(), dtype=np.int64)
    except (ValueError, OverflowError):
        numbers = np.array([-1])
    # Larger numbers could overflow the sum; no image has as many pixels.
    if len(numbers) % 2 or not len(numbers) or (numbers < 0).any() or (numbers > 2**40).any():
        raise ValueError("the runs are not pairs of start and length")
    return numbers.cumsum().reshape(-1, 2)


def draw_runs(runs: Int[np.ndarray, "runs 2"], height_px: int, width_px: int) -> Bool[np.ndarray, "h w"]:
    """Draw a mask from runs of pixels, which are numbered down the columns.

    Args:
        runs: first pixel and end (exclusive) of each run.
        height_px: height of the mask.
        width_px: width of the mask.

    Returns:
        True inside.

    Raises:
        ValueError: a run ends beyond the mask.
    """
    if runs.max(initial=0) > height_px * width_px:
        raise ValueError(f"the runs end at pixel {runs.max():,} of {height_px * width_px:,}")
    # The level changes at the start and at the end of each run.
    change = np.zeros(height_px * width_px + 1, dtype=np.int8)
    np.add.at(change, runs[:, 0], 1)
    np.add.at(change, runs[:, 1], -1)
    return change[:-1].cumsum(dtype=np.int8).astype(bool).reshape(width_px, height_px).T
