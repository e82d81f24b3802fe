"""What each process of a training run on a Ray cluster does: it continues the run from its last checkpoint."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_only

from ggcam.errors import BusyError
from ggcam.run_folder import RunFolder
from ggcam.training.checkpoints import LAST
from ggcam.training.config import TrainConfig
from ggcam.training.ray_workers import RayWorkers
from ggcam.training.run import open_run
from ggcam.training.train import continue_run
from ggcam.utils.logs import LogRecords
from ggcam.utils.ray_machines import Surroundings

WAIT_S = 120.0
"""Time in which a machine must see what another has written, and in which the lock of a lost machine must be released:
network file systems lag behind by a minute or more."""


@dataclass(frozen=True)
class RayTask:
    """A run to train.

    Attributes:
        run: the run folder.
        config: options of the training; the run folder may leave paths out.
        data: the prepared folder.
        guidance: the run's guidance, if it is a class of the user's own.
        workers: the processes.
        needed: what their machines must have in common with that of the command.
        board: where messages for the command are posted: started, epoch (a row of the history), mistake (an error that
            would occur again) and ended (what was logged).
    """

    run: Path
    config: TrainConfig
    data: Path
    guidance: str | None
    workers: RayWorkers
    needed: Surroundings
    board: Any


def train_on_worker(task: RayTask) -> None:
    """Train a run together with the other processes; the function that Ray Train calls in each.

    Args:
        task: the run.

    Raises:
        Exception: the process has to start again, together with the others.
    """
    rank: int = import_module("ray.train").get_context().get_world_rank()
    records = LogRecords()

    def post(kind: str, content: object = None) -> None:
        import_module("ray").get(task.board.post.remote(kind, content))

    rank_zero_only.rank = rank  # pyright: ignore[reportFunctionMemberAccess]  (Lightning does so, but later)
    try:
        with records.collected():
            task.needed.set_up()
            if not task.workers.gpu:
                torch.set_num_threads(task.workers.cores)
            run = replace(open_run(task.run), config=task.config)
            _wait_for_files(run.folder)
            if rank == 0:
                post("started")
            options: dict[str, Any] = {"on_epoch": lambda row: post("epoch", row), "devices": _device_options}
            _unlocked(partial(continue_run, run, task.guidance, task.data, **options))
    except RuntimeError:  # a lost connection, or out of memory: it may go well next time
        raise
    except Exception as error:
        error.add_note(f"on a machine of the cluster:\n{traceback.format_exc()}")
        post("mistake", error.with_traceback(None))
        raise
    finally:
        if rank == 0:
            post("ended", records)


def _device_options(_: TrainConfig) -> dict[str, Any]:
    """Return the arguments of Lightning's trainer with which it finds the processes that Ray Train has started."""
    ray_lightning: Any = import_module("ray.train.lightning")
    device: torch.device = import_module("ray.train.torch").get_device()
    return {
        "accelerator": "gpu" if device.type == "cuda" else "cpu",
        "devices": "auto",
        "strategy": ray_lightning.RayDDPStrategy(),
        "plugins": [ray_lightning.RayLightningEnvironment()],
    }


def _unlocked(work: Callable[[], object]) -> None:
    """Call a function that locks the run folder, again while a lost machine still holds the lock."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            work()
            return
        except BusyError:
            if time.monotonic() >= deadline:
                raise


def _wait_for_files(folder: RunFolder) -> None:
    """Wait until this machine sees the state of the run as the first process does, on a disk that may lag behind."""
    expected: list[Any] = [_state(folder)]
    torch.distributed.broadcast_object_list(expected)
    deadline = time.monotonic() + WAIT_S
    while _state(folder) != expected[0]:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the machines see different files in {folder.root}")
        time.sleep(1)


def _state(folder: RunFolder) -> tuple[tuple[int, int] | None, ...]:
    """Return size and time of the files that say how far the training is."""

    def seen(path: Path) -> tuple[int, int] | None:
        try:
            status = path.stat()
        except FileNotFoundError:
            return None
        return status.st_size, status.st_mtime_ns

    return seen(folder.checkpoints / LAST), seen(folder.weights)
