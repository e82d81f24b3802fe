"""Execute runs on a Ray cluster, one task per run: the run of a lost machine is repeated on another one.

All machines need ggcam, and the prepared folder and the study folder at the same paths, for example on a shared disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ggcam.errors import ConfigError
from ggcam.study.run import Outcome, Task, run_one
from ggcam.utils.ray_cluster import ray_cluster
from ggcam.utils.ray_machines import alive_machines

RETRIES = 5
"""How often a run is repeated after its machine or process was lost."""


def run_on_ray(tasks: Sequence[Task], address: str, gpus_per_run: float | None = None) -> Iterator[Outcome]:
    """Execute runs on a Ray cluster.

    Args:
        tasks: the runs; each reserves as many cores as it has threads, or 1 if that is not set.
        address: address of the cluster, "auto" for the cluster that this machine belongs to, or "local" to start one on
            this machine.
        gpus_per_run: number of GPUs per run, or a fraction of one. Default: 1 if the cluster has GPUs.

    Yields:
        The outcome of each run when it ends, in any order.

    Raises:
        ConfigError: Ray is not installed, the cluster cannot be reached, or none of its machines has the cores and
            GPUs of a run; a local cluster could be reached from other machines.
    """
    with ray_cluster(address) as ray:
        yield from _run_tasks(ray, tasks, gpus_per_run)


def _run_tasks(ray: Any, tasks: Sequence[Task], gpus_per_run: float | None) -> Iterator[Outcome]:
    machines = alive_machines(ray)
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
        except ray.exceptions.RayError as error:  # an error of the cluster; errors of the run itself are in its outcome
            reason = f"lost on the cluster {RETRIES + 1} times: {type(error).__name__}: {str(error).splitlines()[0]}"
            yield Outcome(task.run.name, reason, 0.0)


def _check_room(machines: Sequence[dict[str, float]], threads: int, gpus: float) -> None:
    """Check that a machine has the resources of a run; Ray would wait for one forever."""
    if gpus < 0 or (gpus > 1 and gpus != int(gpus)):
        raise ConfigError(
            "invalid number of GPUs per run", where="--gpus-per-run", expected="0 to 1, or a whole number", got=gpus
        )
    if not any(machine.get("CPU", 0) >= threads and machine.get("GPU", 0) >= gpus for machine in machines):
        raise ConfigError(
            "no machine of the cluster has the resources of a run",
            where="--threads, --gpus-per-run",
            expected=f"{threads} cores and {gpus:g} GPUs on one machine",
            got="; ".join(f"{m.get('CPU', 0):g} cores and {m.get('GPU', 0):g} GPUs" for m in machines) or "no machine",
        )
