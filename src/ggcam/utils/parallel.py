"""Run tasks of one kind in several processes, with only a few of them in memory at a time."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, get_context, parent_process
from typing import TypeVar

from ggcam.errors import ConfigError

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")

MIN_TASKS_PER_WORKER = 16
"""A process takes about a second to start, as long as this many images take; for fewer it is not worth it."""

_QUEUED_PER_WORKER = 4
"""Tasks submitted ahead, so that no worker waits and the queue stays short."""


def parallel_map(
    work: Callable[[Task], Outcome], tasks: Sequence[Task], workers: int = 0
) -> Generator[Outcome, None, None]:
    """Apply a function to each task, in several processes if there are enough tasks.

    Args:
        work: function to apply; importable by other processes, so no lambda or nested function.
        tasks: its arguments.
        workers: maximum number of processes; 0 for one per core. A few tasks run in the calling process.

    Yields:
        The outcome of each task as soon as it is available, in any order.

    Raises:
        ConfigError: no worker could start, or a worker was killed, most likely because memory ran out.
        Exception: any exception that `work` raises.
    """
    workers = min(workers or cpu_count(), -(-len(tasks) // MIN_TASKS_PER_WORKER))
    yield from _run_in_pool(work, tasks, workers) if workers > 1 else map(work, tasks)


def cpu_count() -> int:
    """Count the cores that this process may use.

    Returns:
        Number of cores, at least 1; below the machine's number where the process is bound to some of them.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_count() -> int:
    """Choose the number of threads for decoding images, which is limited by memory bandwidth beyond a few.

    Returns:
        One per core, at most 8.
    """
    return min(8, cpu_count())


def _run_in_pool(work: Callable[[Task], Outcome], tasks: Sequence[Task], workers: int) -> Iterator[Outcome]:
    # Not joblib: 400 tiny tasks on 2 new processes take 0.33 s here and 0.42 s with joblib's loky (medians of five),
    # and 96 DICOM cases take 8.1 s here and 8.6 s there. Spawned, not forked: a fork inherits the locks of threads
    # (OpenCV's, torch's) that do not exist in it.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=init_worker)
    pending: set[Future[Outcome]] = set()
    started = False
    try:
        for number, task in enumerate(tasks, start=1):
            pending.add(pool.submit(work, task))
            while len(pending) >= (_QUEUED_PER_WORKER * workers if number < len(tasks) else 1):
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in finished:
                    outcome = future.result()
                    started = True
                    yield outcome
    except BrokenProcessPool:
        if not started:
            raise ConfigError(
                "no worker process could start",
                where="--workers",
                got=workers,
                hint='in a script, put the call under `if __name__ == "__main__":`, because each worker imports the '
                "script; otherwise free some memory, or use fewer workers",
            ) from None
        raise ConfigError(
            "a worker process was killed, most likely because memory ran out",
            where="--workers",
            got=workers,
            hint="run the same command again with fewer --workers",
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def init_worker() -> None:
    """Prepare a worker process: one OpenCV thread, Ctrl-C left to the parent, and an exit when the parent ends."""
    import cv2

    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
