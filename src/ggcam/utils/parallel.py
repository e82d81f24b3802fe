"""Run tasks of one kind in several processes, with only a few of them in memory at a time."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from typing import Generic, TypeVar

from ggcam.errors import ConfigError
from ggcam.utils.limits import Limits
from ggcam.utils.worker_process import WorkerError, call_in_worker

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")

MIN_TASKS_PER_WORKER = 16
"""A process takes about a second to start, as long as this many images take; for fewer it is not worth it."""

_QUEUED_PER_WORKER = 4
"""Tasks submitted ahead, so that no worker waits and the queue stays short."""


@dataclass(frozen=True)
class Guard(Generic[Task, Outcome]):
    """How tasks that read files from elsewhere are kept from stopping the others.

    Attributes:
        limits: returns the time and memory that a task may use.
        failed: returns the outcome of a task whose worker crashed or exceeded a limit.
        label: returns what a task is about, such as a file, for warnings of other packages.
    """

    limits: Callable[[Task], Limits]
    failed: Callable[[Task, WorkerError], Outcome]
    label: Callable[[Task], object]


def parallel_map(
    work: Callable[[Task], Outcome], tasks: Sequence[Task], workers: int = 0, guard: Guard[Task, Outcome] | None = None
) -> Generator[Outcome, None, None]:
    """Apply a function to each task, in several processes if there are enough tasks.

    Args:
        work: function to apply; importable by other processes, so no lambda, nested function or function of a script.
        tasks: its arguments.
        workers: maximum number of processes; 0 for one per core.
        guard: for tasks that may crash or hang; they are always done in worker processes. Without it, a few tasks run
            in the calling process.

    Yields:
        The outcome of each task as soon as it is available, in any order.

    Raises:
        ConfigError: no worker could start; or, without a guard, a worker was killed, most likely because memory ran
            out.
        Exception: any exception that `work` raises.
    """
    workers = min(workers or cpu_count(), -(-len(tasks) // MIN_TASKS_PER_WORKER))
    if not tasks:
        return
    if not tasks or (guard is None and workers <= 1):
        yield from map(work, tasks)
        return

    def call(task: Task) -> Outcome:
        try:
            if guard is None:
                return call_in_worker(work, task)
            return call_in_worker(work, task, guard.limits(task), guard.label(task))
        except WorkerError as error:
            if guard is None or error.reason == "not started":
                raise _worker_lost(error, workers) from None
            return guard.failed(task, error)

    yield from _in_threads(call, tasks, workers)


def _in_threads(call: Callable[[Task], Outcome], tasks: Sequence[Task], workers: int) -> Iterator[Outcome]:
    """Call a function in threads, each of which waits for a worker process."""
    pool = ThreadPoolExecutor(workers)
    pending: set[Future[Outcome]] = set()
    try:
        for number, task in enumerate(tasks, start=1):
            pending.add(pool.submit(call, task))
            while len(pending) >= (_QUEUED_PER_WORKER * workers if number < len(tasks) else 1):
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _worker_lost(error: WorkerError, workers: int) -> ConfigError:
    if error.reason == "not started":
        return ConfigError(
            "no worker process could start",
            where="--workers",
            got=f"{workers} workers, {error.detail}",
            hint="free some memory, or use fewer workers",
        )
    return ConfigError(
        "a worker process was killed, most likely because memory ran out",
        where="--workers",
        got=workers,
        hint="run the same command again with fewer --workers",
    )


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


def compute_threads() -> int:
    """Choose the number of threads for a network.

    Returns:
        OMP_NUM_THREADS, which torch follows as well, or one per core.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() and int(given) > 0 else cpu_count()


def init_worker() -> None:
    """Prepare a process of multiprocessing: one OpenCV thread, Ctrl-C left to the parent, an exit when it ends."""
    import cv2

    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
