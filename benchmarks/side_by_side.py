"""Time two implementations in turn, so that a change of the machine's speed affects both."""

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
    """Comparison of two implementations.

    Attributes:
        name: name of our implementation.
        other: name of the other implementation.
        ours: seconds (median) or bytes per case of our implementation.
        others: seconds (median) or bytes per case of the other implementation.
        ratio: others / ours; for times, the median of the ratios of the pairs.
        target: minimum of the ratio to reach; None if there is none.
        unit: unit of `ours` and `others`.
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
    """Format a value with three digits and a unit prefix."""
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
    """Time two implementations in turn, after one call of each to warm up.

    Args:
        name: name of our implementation.
        ours: our implementation.
        other_name: name of the other implementation.
        other: the other implementation.
        cases: number of cases per call; times are per case.
        rounds: number of pairs of calls.
        target: minimum of the ratio to reach.
        other_cases: number of cases per call of the other implementation. Default: `cases`.
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
    """Limit torch, OpenCV and NumPy to this number of threads inside the block."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    with threadpool_limits(count):
        torch.set_num_threads(count)
        cv2.setNumThreads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before[0])
            cv2.setNumThreads(before[1])
