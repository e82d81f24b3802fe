"""How many processes train a run on a Ray cluster, and what each reserves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ggcam.errors import ConfigError
from ggcam.utils.ray_machines import alive_machines

_GPU_NAMES = ("auto", "gpu", "cuda")


@dataclass(frozen=True)
class RayWorkers:
    """The processes of a training run on a cluster.

    Attributes:
        number: number of processes.
        cores: number of cores that each reserves.
        gpu: whether each has a GPU.
    """

    number: int
    cores: int = 1
    gpu: bool = False

    @property
    def resources(self) -> dict[str, int]:
        """What each process reserves, in Ray's words."""
        return {"CPU": self.cores} | ({"GPU": 1} if self.gpu else {})


def choose_workers(ray: Any, number: int | None, accelerator: str) -> RayWorkers:
    """Choose the processes of a training run.

    Args:
        ray: the connected module, from :func:`ggcam.utils.ray_cluster.ray_cluster`.
        number: number of processes. Default: one per GPU, or per machine if the cluster has no GPUs.
        accelerator: auto for GPUs if the cluster has any, gpu, or cpu.

    Returns:
        Processes with a GPU each, or with as many cores each as leave room for all of them.

    Raises:
        ConfigError: the machines have no room for the processes, or an argument is invalid.
    """
    if number is not None and number < 1:
        raise ConfigError("invalid number of processes", where="--ray-workers", expected="1 or more", got=number)
    machines = alive_machines(ray)
    gpus = sum(int(machine.get("GPU", 0)) for machine in machines)
    if accelerator not in (*_GPU_NAMES, "cpu"):
        raise ConfigError(
            "unknown accelerator on a Ray cluster", where="--accelerator", expected="auto, gpu or cpu", got=accelerator
        )
    if accelerator != "cpu" and (gpus or accelerator != "auto"):
        number = number or gpus
        if number > gpus or not gpus:
            raise _no_room(machines, f"{number or 1} GPUs, one per process")
        return RayWorkers(number, gpu=True)
    cores = [int(machine.get("CPU", 0)) for machine in machines]
    number = number or sum(map(bool, cores))
    for each in range(max(cores, default=0), 0, -1):
        if number and sum(count // each for count in cores) >= number:
            return RayWorkers(number, each)
    raise _no_room(machines, f"{number or 1} cores, one per process")


def _no_room(machines: Sequence[dict[str, float]], expected: str) -> ConfigError:
    found = (f"{machine.get('CPU', 0):g} cores and {machine.get('GPU', 0):g} GPUs" for machine in machines)
    return ConfigError(
        "the machines of the cluster have no room for the processes",
        where="--ray, --ray-workers",
        expected=expected,
        got="; ".join(found) or "no machine",
        hint="pass a smaller number as --ray-workers, or add machines: ray start --address HEAD:6379",
    )
