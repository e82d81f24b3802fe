"""Call a function in a new process, and measure it: duration, processor time, memory, with its workers (on Linux)."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_SAMPLING_INTERVAL_S = 0.05


@dataclass(frozen=True)
class Measured:
    """Time and memory of a function call.

    Attributes:
        outcome: return value of the function.
        seconds: duration, without the start of the process.
        peak_bytes: peak memory of the process and its workers together; shared memory is counted once.
        own_peak_bytes: peak memory of the process without its workers.
        cpu_seconds: processor time of the process and its workers.
    """

    outcome: Any
    seconds: float
    peak_bytes: int
    own_peak_bytes: int
    cpu_seconds: float


def call_in_new_process(function: Callable[..., T], *arguments: object) -> T:
    """Call a function in a new process, which must be able to import it; arguments and result are pickled."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def measure(function: Callable[..., object], *arguments: object) -> Measured:
    """Call a function as :func:`call_in_new_process` does, and measure it."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        process = pool.submit(os.getpid).result()
        future = pool.submit(partial(_timed, function, *arguments))
        peak = own_peak = 0
        ticks: dict[int, int] = {}  # of each process when it was last seen
        while not future.done():
            memory = _sample(process, ticks)
            peak, own_peak = max(peak, sum(memory.values())), max(own_peak, memory.get(process, 0))
            wait([future], timeout=_SAMPLING_INTERVAL_S)
        outcome, seconds = future.result()
    return Measured(outcome, seconds, peak, own_peak, sum(ticks.values()) / os.sysconf("SC_CLK_TCK"))


def _timed(function: Callable[..., object], *arguments: object) -> tuple[object, float]:
    started = time.perf_counter()
    outcome = function(*arguments)
    return outcome, time.perf_counter() - started


def _sample(process: int, ticks: dict[int, int]) -> dict[int, int]:
    """Return the memory of a process and of each of its descendants, and update their processor time."""
    root = Path(f"/proc/{process}")
    try:
        own = next(line for line in (root / "smaps_rollup").read_text().splitlines() if line.startswith("Pss:"))
        used = (root / "stat").read_text().rpartition(")")[2].split()[11:13]  # in user and in system mode
        children = [child for task in (root / "task").iterdir() for child in (task / "children").read_text().split()]
    except (OSError, StopIteration):
        return {}  # the process has just ended
    ticks[process] = sum(map(int, used))
    memory = {process: int(own.split()[1]) * 1024}
    for child in children:
        memory |= _sample(int(child), ticks)
    return memory
