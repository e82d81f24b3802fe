"""The faster of float32 and bfloat16 by measurement, remembered in the user's cache folder."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Literal, cast

from ggcam.utils.user_cache import read_cached, write_cached

FloatPrecision = Literal["32", "bf16"]

TIMED_IMAGES = 4
"""Images of a timed batch."""

CLEARLY_FASTER = 0.9
"""Fraction of the time in float32 that bfloat16 may take to be chosen: a smaller gain is not worth its rounding."""

_ROUNDS, _ENOUGH_S = 6, 2.0
"""Timed calls in each precision; time after which one of each is enough."""

log = logging.getLogger(__name__)


def faster_precision(cache: str, key: str, measure: Callable[[], Mapping[FloatPrecision, float]]) -> FloatPrecision:
    """Choose the precision that takes less time, and remember the choice.

    Args:
        cache: name of the cache, see :func:`ggcam.utils.user_cache.read_cached`.
        key: everything that the choice may depend on, in words.
        measure: returns the seconds in each precision; called if nothing is remembered.

    Returns:
        The precision.
    """
    known = read_cached(cache, key)
    precision = known.get("precision") if isinstance(known, dict) else None
    if precision in ("32", "bf16"):
        return cast(FloatPrecision, precision)
    seconds = measure()
    chosen: FloatPrecision = "bf16" if seconds["bf16"] < CLEARLY_FASTER * seconds["32"] else "32"
    log.info("precision %s: seconds: %s", chosen, seconds)
    measured = {name: float(f"{value:.3g}") for name, value in seconds.items() if math.isfinite(value)}
    write_cached(cache, key, {"precision": chosen, "seconds": measured})
    return chosen


def shortest_times(timed: Callable[[FloatPrecision], float]) -> dict[FloatPrecision, float]:
    """Time the same work in each precision in turn; the shortest time of each counts.

    Args:
        timed: does the work once and returns the seconds; infinite where the precision is impossible.

    Returns:
        Precision -> seconds.
    """
    best: dict[FloatPrecision, float] = {"32": math.inf, "bf16": math.inf}
    total = 0.0
    for number in range(1 + _ROUNDS):
        for precision in best:
            seconds = timed(precision)
            total += seconds
            if number:  # the first call of each kind warms up
                best[precision] = min(best[precision], seconds)
        if number and total > _ENOUGH_S:
            break
    return best
