"""Time two ways of doing the same thing in turn, so that a change of the machine's speed hits both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """Medians in seconds a case, and the median of the ratios taken pair by pair."""

    name: str
    other: str
    ours_s: float
    other_s: float
    ratio: float

    def __str__(self) -> str:
        ours, other = (f"{seconds * 1e3:10.3f} ms" for seconds in (self.ours_s, self.other_s))
        return f"{self.name:44} {ours}   {self.other:38} {other}   {self.ratio:8.1f} x"


def race(
    name: str, ours: Callable[[], object], other_name: str, other: Callable[[], object], cases: int = 1, rounds: int = 5
) -> Result:
    """Run both `rounds` times in turn after one run each that does not count.

    Args:
        name: of ours.
        ours: what to time.
        other_name: of the other.
        other: what to time against it.
        cases: how many cases one call handles; times are given for one.
        rounds: pairs of runs.
    """
    ours(), other()
    pairs = []
    for _ in range(rounds):
        started = time.perf_counter()
        ours()
        between = time.perf_counter()
        other()
        pairs.append((between - started, time.perf_counter() - between))
    return Result(
        name,
        other_name,
        statistics.median(a for a, _ in pairs) / cases,
        statistics.median(b for _, b in pairs) / cases,
        statistics.median(b / a for a, b in pairs),
    )
