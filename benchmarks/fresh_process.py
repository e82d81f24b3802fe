"""Run a function in a process of its own, to tell its time and the memory that it and its workers take (on Linux)."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

_EVERY_S = 0.05


@dataclass(frozen=True)
class Measured:
    """What a function took.

    Attributes:
        outcome: what it returned.
        seconds: without the start of its process.
        peak_bytes: most memory that the process and its workers held at one time; what they share is counted once.
    """

    outcome: Any
    seconds: float
    peak_bytes: int


def measured(function: Callable[..., object], *arguments: object) -> Measured:
    """Run a function of a module in a fresh process; its arguments and what it returns travel by pickle."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        process = pool.submit(os.getpid).result()
        future = pool.submit(partial(_timed, function, *arguments))
        peak = 0
        while not future.done():
            peak = max(peak, _bytes_of(process))
            wait([future], timeout=_EVERY_S)
        outcome, seconds = future.result()
    return Measured(outcome, seconds, peak)


def _timed(function: Callable[..., object], *arguments: object) -> tuple[object, float]:
    started = time.perf_counter()
    outcome = function(*arguments)
    return outcome, time.perf_counter() - started


def _bytes_of(process: int) -> int:
    """Memory of a process and all that it has started."""
    root = Path(f"/proc/{process}")
    try:
        own = next(line for line in (root / "smaps_rollup").read_text().splitlines() if line.startswith("Pss:"))
        children = [child for task in (root / "task").iterdir() for child in (task / "children").read_text().split()]
    except (OSError, StopIteration):
        return 0  # it has just ended
    return int(own.split()[1]) * 1024 + sum(_bytes_of(int(child)) for child in children)
