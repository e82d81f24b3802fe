"""Train a run on a Ray cluster, by Ray Train.

Lightning's sampler gives each process its share of every batch, as in any distributed run, and each reads its share
from the prepared folder, so that a run equals one of as many processes without Ray. A Ray Dataset would share the cases
in the order in which they arrive, which differs from run to run.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import torch

from ggcam.data.prepared import PreparedData
from ggcam.errors import ConfigError
from ggcam.training.begin import begin_run
from ggcam.training.config import TrainConfig
from ggcam.training.precision import has_bf16_instructions
from ggcam.training.ray_worker import RayTask, train_on_worker
from ggcam.training.ray_workers import RayWorkers, choose_workers
from ggcam.training.run import Run, open_run
from ggcam.training.train import OnEpoch
from ggcam.utils.ray_board import start_board
from ggcam.utils.ray_cluster import ray_cluster
from ggcam.utils.ray_machines import surroundings

log = logging.getLogger(__name__)

RESTARTS = 3
"""How often the training is continued after a process or a machine was lost."""

WAITS = 10
"""How often the training waits again for machines with room for its processes. Ray Train waits a minute each time."""

_POLL_S = 0.5

_END_S = 10.0
"""Time in which the first process may write down why the training cannot go on."""


def train_on_ray(
    address: str,
    workers: int | None,
    data: PreparedData,
    config: TrainConfig | None = None,
    out: Path | str = "run",
    name: str | None = None,
    *,
    on_epoch: OnEpoch | None = None,
) -> Run:
    """Train a classifier on a prepared folder on a Ray cluster; see :func:`ggcam.train`.

    Args:
        address: address of the cluster; see :func:`ggcam.utils.ray_cluster.ray_cluster`.
        workers: number of processes; None for one per GPU, or per machine if the cluster has no GPUs.
        data: the prepared folder.
        config: options of the training; None takes the defaults.
        out: folder of the runs.
        name: ID of the run; None draws a random one.
        on_epoch: called with each row of the history.

    Returns:
        The finished run, not yet evaluated.

    Raises:
        ConfigError: the cluster cannot be reached or has no room for the processes; a machine has another version of
            ggcam or does not see the files; an option does not apply to a cluster; the training was lost too often.
        GGCamError: see :func:`ggcam.train`.
    """
    config = config or TrainConfig()
    default = TrainConfig()
    for option in ("devices", "nodes", "strategy"):
        if getattr(config, option) != getattr(default, option):
            raise ConfigError(
                f"--{option} does not apply to a Ray cluster",
                where="--ray",
                got=f"--{option} {getattr(config, option)}",
                hint="pass the number of processes as --ray-workers",
            )
    with ray_cluster(address) as ray:
        chosen = choose_workers(ray, workers, config.accelerator)
        if chosen.gpu and config.precision == "auto":  # of one GPU: the processes must agree
            has_bf16 = ray.get(ray.remote(num_gpus=1)(_gpu_has_bf16_instructions).remote())
            config = replace(config, precision="bf16" if has_bf16 else "32")
        run = begin_run(data, config, Path(out), name, chosen.number).run
        return _fit(ray, chosen, run, config.guidance, data.root, on_epoch)


def resume_on_ray(
    address: str,
    workers: int | None,
    root: Path | str,
    guidance: str | None = None,
    *,
    on_epoch: OnEpoch | None = None,
) -> Run:
    """Continue an interrupted training run on a Ray cluster; see :func:`ggcam.resume`.

    Args:
        address: address of the cluster; see :func:`ggcam.utils.ray_cluster.ray_cluster`.
        workers: number of processes; see :func:`train_on_ray`.
        root: the run folder.
        guidance: the run's guidance, if it is a class of your own.
        on_epoch: called with each row of the history.

    Returns:
        The finished run.

    Raises:
        ConfigError: see :func:`train_on_ray`.
        GGCamError: see :func:`ggcam.resume`.
    """
    run = open_run(root)
    if run.folder.weights.is_file():
        return run
    with ray_cluster(address) as ray:
        chosen = choose_workers(ray, workers, run.config.accelerator)
        return _fit(ray, chosen, run, guidance, run.data().root, on_epoch)


def _gpu_has_bf16_instructions() -> bool:
    return has_bf16_instructions(torch.device("cuda"))


def _fit(ray: Any, workers: RayWorkers, run: Run, guidance: str | None, data: Path, on_epoch: OnEpoch | None) -> Run:
    """Let Ray Train start the processes, and start them again when one is lost."""
    train: Any = import_module("ray.train")
    ray_torch: Any = import_module("ray.train.torch")
    root = run.folder.root.resolve()
    data = data.resolve()
    # The folder of the weights has a random code in its name: an older run of the same name does not have it.
    needed = surroundings([run.folder.weights.parent.resolve(), data / "dataset.toml"], ("ggcam", "lightning"))
    board = start_board(ray)
    task = RayTask(root, run.config, data, guidance, workers, needed, board)
    with TemporaryDirectory(prefix="ray-train-", ignore_cleanup_errors=True) as storage:  # for Ray Train's own files
        trainer = ray_torch.TorchTrainer(
            partial(train_on_worker, task),
            scaling_config=train.ScalingConfig(
                num_workers=workers.number, use_gpu=workers.gpu, resources_per_worker=workers.resources
            ),
            run_config=train.RunConfig(
                name=root.name,
                storage_path=storage,
                failure_config=train.FailureConfig(
                    max_failures=RESTARTS, max_preemption_failures=RESTARTS, controller_failure_limit=WAITS
                ),
            ),
        )
        logging.getLogger("ray.train").setLevel(logging.CRITICAL)  # what it logs is raised or logged here as well
        try:
            _follow(ray, board, _in_background(trainer.fit), on_epoch)
        except (ray.exceptions.RayError, train.TrainingFailedError) as error:
            raise _lost(error, root) from error
    return open_run(run.folder.root)


def _in_background(function: Callable[[], object]) -> Future[object]:
    """Call a function in a thread: Ray Train takes over Ctrl-C where it runs in the main one."""
    future: Future[object] = Future()

    def call() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=call, daemon=True).start()
    return future


def _follow(ray: Any, board: Any, training: Future[object], on_epoch: OnEpoch | None) -> None:
    """Pass on what the processes post, until the training has ended."""
    starts, epochs = 0, 0.0
    mistake: Exception | None = None
    deadline = math.inf
    while True:
        ended = training.done() or time.monotonic() > deadline  # before the last look at the board
        for kind, content in ray.get(board.take.remote()):
            if kind == "started" and mistake is None:
                if starts:
                    log.warning(
                        "a process of the training was lost; it continues after epoch %d (restart %d of at most %d)",
                        epochs,
                        starts,
                        RESTARTS,
                    )
                starts += 1
            elif kind == "epoch" and content["epoch"] >= epochs:  # not an epoch that is repeated after a loss
                epochs = content["epoch"] + 1
                if on_epoch is not None:
                    on_epoch(content)
            elif kind == "ended":
                content.emit()
                ended = ended or mistake is not None
            elif kind == "mistake" and mistake is None:
                mistake, deadline = content, time.monotonic() + _END_S
        if ended and mistake is not None:
            raise mistake
        if ended:
            training.result()
            return
        wait([training], timeout=_POLL_S)


def _lost(error: Any, root: Path) -> ConfigError:
    """Describe why Ray Train has given up."""
    failures = getattr(error, "worker_failures", None)
    cause = next(iter(failures.values())) if failures else getattr(error, "controller_failure", error)
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    if failures:
        what = f"the training was lost {RESTARTS + 1} times"
    elif hasattr(error, "controller_failure"):
        what = "the processes of the training could not be started"
    else:
        what = "the connection to the cluster was lost"
    return ConfigError(
        what,
        where="--ray",
        got=f"{type(cause).__name__}: {lines[-1] if lines else ''}",
        hint=f"look after the machines of the cluster, and continue with ggcam train --resume {root} --ray ADDRESS",
    )
