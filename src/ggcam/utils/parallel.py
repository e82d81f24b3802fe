"""Tasks of one kind in several processes, with no more than a few of them in memory."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, get_context, parent_process
from typing import TypeVar

import cv2

from ggcam.errors import ConfigError

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")

_TASKS_PER_WORKER = 16
"""A process takes about a second to start, the time of so many images; fewer are not worth another."""

_WAITING_PER_WORKER = 4
"""Tasks handed out ahead, so that no worker waits and no queue grows."""


def parallel_map(work: Callable[[Task], Outcome], tasks: Sequence[Task], workers: int = 0) -> Iterator[Outcome]:
    """Yield each task's outcome as soon as it is there, in any order.

    Args:
        work: a function of a module, which other processes can import.
        tasks: what to do.
        workers: processes; 0 for one a core. Few tasks are done in this process.

    Raises:
        ConfigError: a worker was killed, most likely for want of memory, or none could start.
        Exception: whatever `work` raises.
    """
    workers = min(workers or cpu_count(), -(-len(tasks) // _TASKS_PER_WORKER))
    return _in_processes(work, tasks, workers) if workers > 1 else map(work, tasks)


def cpu_count() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _in_processes(work: Callable[[Task], Outcome], tasks: Sequence[Task], workers: int) -> Iterator[Outcome]:
    # Spawned, not forked: a fork inherits the locks of threads (OpenCV's, torch's) that do not exist in it.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=start_worker)
    running: set[Future[Outcome]] = set()
    begun = False
    try:
        for number, task in enumerate(tasks, start=1):
            running.add(pool.submit(work, task))
            while len(running) >= (_WAITING_PER_WORKER * workers if number < len(tasks) else 1):
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    outcome = future.result()
                    begun = True
                    yield outcome
    except BrokenProcessPool:
        if not begun:
            raise ConfigError(
                "no worker process could start",
                where="--workers",
                got=workers,
                hint='in a script, call this below `if __name__ == "__main__":`, as each worker imports the script; '
                "otherwise free some memory, or use fewer workers",
            ) from None
        raise ConfigError(
            "a worker process was killed, most likely for want of memory",
            where="--workers",
            got=workers,
            hint="run the same command again with fewer --workers: it goes on from there",
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def start_worker() -> None:
    """One thread for OpenCV in each of many processes; Ctrl-C is the parent's affair; and no worker outlives it."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
