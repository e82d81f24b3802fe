"""Time two ways of doing the same thing in turn, so that a change of the machine's speed hits both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import cv2
import torch
from threadpoolctl import threadpool_limits

Unit = Literal["s", "B"]


@dataclass(frozen=True)
class Result:
    """What ours takes, what the other takes, and how many times as much that is.

    Attributes:
        name: of ours.
        other: name of the other.
        ours: seconds or bytes, a case; of times the median.
        others: the same of the other.
        ratio: others / ours; of times the median of the ratios taken pair by pair.
        target: what the ratio should be at least; None where nothing was promised.
        unit: of ours and others.
    """

    name: str
    other: str
    ours: float
    others: float
    ratio: float
    target: float | None = None
    unit: Unit = "s"

    def __str__(self) -> str:
        ours, others = (amount(value, self.unit) for value in (self.ours, self.others))
        target = "" if self.target is None else f"  (target {self.target:g})"
        return f"{self.name:56} {ours:>10}   {self.other:44} {others:>10}   {self.ratio:9.2f} x{target}"


def amount(value: float, unit: Unit) -> str:
    """Three digits of it, with the prefix that fits."""
    prefixes = [(1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ")]
    factor, prefix = next((each for each in prefixes if abs(value) >= each[0]), prefixes[-1] if value else (1.0, ""))
    return f"{value / factor:.3g} {prefix}{unit}"


def race(
    name: str,
    ours: Callable[[], object],
    other_name: str,
    other: Callable[[], object],
    cases: int = 1,
    rounds: int = 5,
    target: float | None = None,
    other_cases: int | None = None,
) -> Result:
    """Run both `rounds` times in turn after one run each that does not count.

    Args:
        name: of ours.
        ours: what to time.
        other_name: of the other.
        other: what to time against it.
        cases: how many cases one call handles; times are given for one.
        rounds: pairs of runs.
        target: what the ratio should be at least.
        other_cases: how many cases one call of the other handles, where that differs.
    """
    other_cases = other_cases or cases
    ours()
    other()
    pairs = []
    for _ in range(rounds):
        started = time.perf_counter()
        ours()
        between = time.perf_counter()
        other()
        pairs.append(((between - started) / cases, (time.perf_counter() - between) / other_cases))
    return Result(
        name,
        other_name,
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(b / a for a, b in pairs),
        target,
    )


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads for torch, OpenCV and NumPy inside the block, and as many as before behind it."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    with threadpool_limits(count):
        torch.set_num_threads(count)
        cv2.setNumThreads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before[0])
            cv2.setNumThreads(before[1])
