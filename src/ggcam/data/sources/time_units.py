"""Units of time: named by an option, stated in a column's name, or decided by the sampling rate."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

import numpy as np
from jaxtyping import Float

TimeUnit = Literal["s", "ms", "us", "ns"]

SECONDS_PER_UNIT: Mapping[TimeUnit, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}

POSSIBLE_RATES_HZ = (5.0, 5000.0)
"""Sampling rates of eye trackers. The range is a factor of 1000, so that only one unit of time fits."""

LARGEST_TIME = 1e20
"""Times since 1970 are below this in every unit."""

_WORDS: Mapping[str, TimeUnit] = {"s": "s", "sec": "s", "secs": "s", "seconds": "s", "ms": "ms", "us": "us", "ns": "ns"}


def unit_in_name(column: str) -> TimeUnit | None:
    """Find the unit of time in the name of a column.

    Args:
        column: such as "Recording timestamp [μs]", "duration_ms" or "Time (in secs)".

    Returns:
        The unit; None if the name has none.
    """
    text = re.sub("[\u00b5\u03bc]", "u", column)
    found = re.search(r"[\[(](?:in )?(\w+)[\])]\s*$", text) or re.search(r"_(s|sec|secs|seconds|ms|us|ns)$", text)
    return _WORDS.get(found[1].lower()) if found else None


def unit_by_rate(time: Float[np.ndarray, " n"], default: TimeUnit) -> TimeUnit:
    """Return the unit in which times have a possible sampling rate.

    Args:
        time: times of samples; the steps between neighbours may be of any sign, as between two recordings.
        default: unit to prefer, and to return if no unit is possible.

    Returns:
        The unit.
    """
    # Trackers that round their times repeat some of them, so the rate is that of all steps of one recording.
    steps = np.diff(time[np.abs(time) < LARGEST_TIME])
    typical = np.median(steps[steps > 0]) if (steps > 0).any() else 0.0
    forward = steps[(steps >= 0) & (steps <= 3 * typical)]
    interval = float(forward.mean()) if typical and len(forward) else 0.0
    if not interval or not np.isfinite(interval):
        return default
    for unit in (default, *SECONDS_PER_UNIT):
        if POSSIBLE_RATES_HZ[0] <= 1 / (interval * SECONDS_PER_UNIT[unit]) < POSSIBLE_RATES_HZ[1]:
            return unit
    return default


def spread_repeats(time_s: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Tell samples apart that share a time stamp, because the clock is coarser than the sampling rate.

    Args:
        time_s: ascending times.

    Returns:
        The times, with k samples of one time stamp spread evenly over the step to the next one.

    Example:
        >>> spread_repeats(np.array([0.0, 0.0, 1.0, 1.0, 2.0]))
        array([0. , 0.5, 1. , 1.5, 2. ])
    """
    starts = np.flatnonzero(np.r_[True, np.diff(time_s) > 0]) if len(time_s) else np.empty(0, dtype=np.int64)
    if len(starts) in (0, 1, len(time_s)):
        return time_s
    counts = np.diff(np.r_[starts, len(time_s)])
    steps = np.diff(time_s[starts])
    widths = np.minimum(np.r_[steps, np.inf], np.median(steps))
    within = np.arange(len(time_s)) - np.repeat(starts, counts)
    return time_s + within * np.repeat(widths / counts, counts)
