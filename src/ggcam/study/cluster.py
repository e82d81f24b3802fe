"""Runs on a Ray cluster, a task each: what a lost machine was at is repeated on another one.

All machines need ggcam, and the prepared folder and the study folder under the same paths, such as on a shared disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ggcam.errors import ConfigError
from ggcam.study.run import Outcome, Task, run_one

RETRIES = 5
"""How often a run is begun again after its machine or process was lost."""


def run_on_ray(tasks: Sequence[Task], address: str, gpus_per_run: float | None = None) -> Iterator[Outcome]:
    """Carry out runs on a cluster and yield each outcome as soon as it is there, in any order.

    Args:
        tasks: what to do; each asks for as many cores as it has threads, 1 where it does not say.
        address: of the cluster, or "auto" for the one that this machine is part of.
        gpus_per_run: a share of a GPU or a number of them; None takes one where the cluster has any.

    Raises:
        ConfigError: Ray is not installed, there is no such cluster, or no machine of it has room for a run.
    """
    ray = _ray()
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(
            "there is no Ray cluster to be reached",
            where="--ray",
            got=f"{address}: {str(error).splitlines()[0]}",
            hint="start one: ray start --head",
        ) from error
    try:
        yield from _carry_out(ray, tasks, gpus_per_run)
    finally:
        ray.shutdown()


def _carry_out(ray: Any, tasks: Sequence[Task], gpus_per_run: float | None) -> Iterator[Outcome]:
    machines = [machine["Resources"] for machine in ray.nodes() if machine["Alive"]]
    gpus = float(any(machine.get("GPU") for machine in machines)) if gpus_per_run is None else gpus_per_run
    _check_room(machines, max(task.threads or 1 for task in tasks), gpus)
    waiting: dict[Any, Task] = {}
    for task in tasks:
        task = replace(task, threads=task.threads or 1)
        remote = ray.remote(num_cpus=task.threads, num_gpus=gpus, max_retries=RETRIES)(run_one)
        waiting[remote.remote(task)] = task
    while waiting:
        (done, *_), _ = ray.wait(list(waiting), num_returns=1)
        task = waiting.pop(done)
        try:
            yield ray.get(done)
        except ray.exceptions.RayError as error:  # of the cluster: the run's own errors are part of its outcome
            reason = f"lost on the cluster {RETRIES + 1} times: {type(error).__name__}: {str(error).splitlines()[0]}"
            yield Outcome(task.run.name, reason, 0.0)


def _check_room(machines: Sequence[dict[str, float]], threads: int, gpus: float) -> None:
    """Without it Ray would wait for such a machine for ever."""
    if gpus < 0 or (gpus > 1 and gpus != int(gpus)):
        raise ConfigError(
            "there is no such share of GPUs", where="--gpus-per-run", expected="0 to 1, or a whole number", got=gpus
        )
    if not any(machine.get("CPU", 0) >= threads and machine.get("GPU", 0) >= gpus for machine in machines):
        raise ConfigError(
            "no machine of the cluster has room for a run",
            where="--threads, --gpus-per-run",
            expected=f"{threads} cores and {gpus:g} GPUs on one machine",
            got="; ".join(f"{m.get('CPU', 0):g} cores and {m.get('GPU', 0):g} GPUs" for m in machines) or "no machine",
        )


def _ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise ConfigError("Ray is not installed", where="--ray", hint="pip install 'ggcam[ray]'") from error
    return ray
