"""Measure the time of a function in a new process, and the memory of that process and its workers (on Linux)."""

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

_SAMPLING_INTERVAL_S = 0.05


@dataclass(frozen=True)
class Measured:
    """Time and memory of a function call.

    Attributes:
        outcome: return value of the function.
        seconds: duration, without the start of the process.
        peak_bytes: peak memory of the process and its workers together; shared memory is counted once.
    """

    outcome: Any
    seconds: float
    peak_bytes: int


def measure(function: Callable[..., object], *arguments: object) -> Measured:
    """Call a function in a new process, which must be able to import it; arguments and result are pickled."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        process = pool.submit(os.getpid).result()
        future = pool.submit(partial(_timed, function, *arguments))
        peak = 0
        while not future.done():
            peak = max(peak, _memory_bytes(process))
            wait([future], timeout=_SAMPLING_INTERVAL_S)
        outcome, seconds = future.result()
    return Measured(outcome, seconds, peak)


def _timed(function: Callable[..., object], *arguments: object) -> tuple[object, float]:
    started = time.perf_counter()
    outcome = function(*arguments)
    return outcome, time.perf_counter() - started


def _memory_bytes(process: int) -> int:
    """Return the memory of a process and its descendants."""
    root = Path(f"/proc/{process}")
    try:
        own = next(line for line in (root / "smaps_rollup").read_text().splitlines() if line.startswith("Pss:"))
        children = [child for task in (root / "task").iterdir() for child in (task / "children").read_text().split()]
    except (OSError, StopIteration):
        return 0  # the process has just ended
    return int(own.split()[1]) * 1024 + sum(_memory_bytes(int(child)) for child in children)
