"""Execute runs on this machine, each in a new process.

Not the pool of `utils.parallel`: a run that is killed for memory must not end the others, each process needs its own
GPU from the start, and a new process returns all memory of the run before.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from ggcam.study.run import Outcome, Task, run_one
from ggcam.utils.parallel import cpu_count, init_worker


def run_locally(tasks: Sequence[Task], workers: int = 1) -> Iterator[Outcome]:
    """Execute runs on this machine.

    Args:
        tasks: the runs; one without a number of threads gets an equal share of the cores.
        workers: number of runs at a time, distributed over the GPUs. With 1, all runs use this process.

    Yields:
        The outcome of each run when it ends, in any order.

    Raises:
        OSError: the disk is full, for example; the runs that are finished are kept.
    """
    if workers == 1:
        yield from map(run_one, tasks)
        return
    share = max(1, cpu_count() // workers)
    waiting = [task if task.threads else replace(task, threads=share) for task in reversed(tasks)]
    gpus = _gpus()
    free = [gpus[slot % len(gpus)] if gpus else None for slot in range(workers)]
    running: dict[Connection, tuple[BaseProcess, Task, str | None]] = {}
    try:
        while waiting or running:
            while waiting and free:
                task, gpu = waiting.pop(), free.pop(0)
                receiver, process = _start(task, gpu)
                running[receiver] = (process, task, gpu)
            for receiver in connection.wait(list(running)):
                assert isinstance(receiver, Connection)
                process, task, gpu = running.pop(receiver)
                yield _outcome(receiver, process, task)
                free.append(gpu)
    finally:
        for process, _, _ in running.values():
            process.terminate()


def _start(task: Task, gpu: str | None) -> tuple[Connection, BaseProcess]:
    # Spawned, not forked: a fork inherits the locks of threads that do not exist in it.
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run_in_process, args=(task, gpu, sender))
    process.start()
    sender.close()  # so that the receiver notices when the process ends: only its copy keeps the pipe open
    return receiver, process


def _run_in_process(task: Task, gpu: str | None, sender: Connection) -> None:
    init_worker()
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu  # before torch looks for GPUs
    try:
        sender.send(run_one(task))
    except OSError as error:
        sender.send(error)


def _gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    return given.split(",") if given else [str(number) for number in range(torch.cuda.device_count())]


def _outcome(receiver: Connection, process: BaseProcess, task: Task) -> Outcome:
    try:
        outcome: Outcome | OSError = receiver.recv()
    except EOFError:
        process.join()
        killed = f"its process ended with exit code {process.exitcode}, most likely because memory ran out"
        return Outcome(task.run.name, f"{killed}; use fewer --workers", 0.0)
    process.join()
    if isinstance(outcome, OSError):
        raise outcome
    return outcome
