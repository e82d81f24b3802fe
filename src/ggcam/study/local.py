"""Execute runs on this machine, several at a time in processes that are kept for the next run.

Not the pool of `utils.parallel`: a run that is killed for memory must not end the others, and each process needs its
own GPU from the start.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection

from ggcam.study.run import Outcome, Task, run_one
from ggcam.study.shared_images import shared_images
from ggcam.utils.parallel import cpu_count, init_worker
from ggcam.utils.user_code import is_reference

RUNS_PER_PROCESS = 20
"""Runs after which a process is replaced, so that memory that a run does not return cannot add up."""

END_S = 10.0
"""Time that a process without a run has to end before it is terminated."""


def run_locally(tasks: Sequence[Task], workers: int = 1) -> Iterator[Outcome]:
    """Execute runs on this machine.

    A run meets the same state in a process that has executed others as in a new one. After a run that failed, and after
    one with a guidance of the user's own, whose module may keep anything, the process is replaced all the same.

    Args:
        tasks: the runs; one without a number of threads gets an equal share of the cores.
        workers: number of runs at a time, distributed over the GPUs. With 1, all runs use this process.

    Yields:
        The outcome of each run when it ends, in any order.

    Raises:
        OSError: the disk is full, for example; the runs that are finished are kept.
    """
    with shared_images(tasks) as tasks:
        if workers == 1:
            yield from map(run_one, tasks)
        else:
            share = max(1, cpu_count() // workers)
            yield from _run_in_processes(
                [task if task.threads else replace(task, threads=share) for task in tasks], workers
            )


def _run_in_processes(tasks: Sequence[Task], workers: int) -> Iterator[Outcome]:
    waiting, gpus = list(reversed(tasks)), _gpus()
    free = [gpus[slot % len(gpus)] if gpus else None for slot in range(workers)]
    idle: list[_Process] = []
    busy: dict[Connection, _Process] = {}
    try:
        while waiting or busy:
            while waiting and (idle or free):
                process = idle.pop() if idle else _Process(free.pop(0))
                process.begin(waiting.pop())
                busy[process.connection] = process
            for ready in connection.wait(list(busy)):
                assert isinstance(ready, Connection)
                process = busy[ready]
                outcome = process.outcome()
                del busy[ready]
                if process.reusable:
                    idle.append(process)
                else:
                    process.end()
                    free.append(process.gpu)
                yield outcome
    finally:
        for process in busy.values():
            process.kill()
        for process in idle:
            process.end()


class _Process:
    """A process that executes one run after the other.

    Args:
        gpu: the only GPU that it sees, as CUDA_VISIBLE_DEVICES names it; None for no choice.
    """

    def __init__(self, gpu: str | None):
        # Spawned, not forked: a fork inherits the locks of threads that do not exist in it.
        context = get_context("spawn")
        self.gpu = gpu
        self.connection, remote = context.Pipe()
        self.reusable = True
        self._runs = 0
        self._task: Task | None = None
        self._process = context.Process(target=_execute_tasks, args=(remote, gpu))
        self._process.start()
        remote.close()  # so that this end notices when the process ends: only its copy keeps the pipe open

    def begin(self, task: Task) -> None:
        """Start a run."""
        self._task = task
        self._runs += 1
        with suppress(BrokenPipeError):  # it was killed meanwhile, which `outcome` reports
            self.connection.send(task)

    def outcome(self) -> Outcome:
        """Return the outcome of the run, which has ended.

        Raises:
            OSError: one that all further runs would meet, too.
        """
        task = self._task
        assert task is not None
        try:
            outcome: Outcome | OSError = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            self.reusable = False
            killed = f"its process ended with exit code {self._process.exitcode}, most likely because memory ran out"
            return Outcome(task.run.name, f"{killed}; use fewer --workers", 0.0)
        if isinstance(outcome, OSError):
            raise outcome
        own_code = is_reference(task.run.config.guidance)
        self.reusable = outcome.error is None and not own_code and self._runs < RUNS_PER_PROCESS
        return outcome

    def end(self) -> None:
        """Let the process end, and wait for it: its memory and its GPU are free then."""
        self.connection.close()
        self._process.join(END_S)
        self._process.terminate()

    def kill(self) -> None:
        """End the process in the middle of a run."""
        self._process.terminate()
        self.connection.close()


def _execute_tasks(tasks: Connection, gpu: str | None) -> None:
    init_worker()
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu  # before torch looks for GPUs
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the study has ended
        while True:
            task = tasks.recv()
            try:
                outcome = run_one(task)
            except OSError as error:
                outcome = error
            tasks.send(outcome)


def _gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    return given.split(",") if given else [str(number) for number in range(torch.cuda.device_count())]
