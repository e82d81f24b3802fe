"""Execute runs on a Ray cluster, one task per run: the run of a lost machine is repeated on another one.

All machines need ggcam, and the prepared folder and the study folder at the same paths, for example on a shared disk.

With the address "local" the cluster is this machine: it starts with the study, ends with it, and cannot be reached from
other machines.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address
from tempfile import TemporaryDirectory
from typing import Any

from ggcam.errors import ConfigError
from ggcam.study.run import Outcome, Task, run_one

RETRIES = 5
"""How often a run is repeated after its machine or process was lost."""

LOCAL = "local"
"""The address that starts a cluster on this machine."""

_LOOPBACK = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # one machine only, on any system: Ray listens on the loopback address
    "RAY_AUTH_MODE": "token",  # other users of this machine cannot connect either
}

_NO_HTTP = {"http_proxy": "http://127.0.0.1:9", "no_proxy": "localhost,127.0.0.1"}
"""Lead Ray's HTTP requests to a closed port: it asks three clouds whether it is there, usage statistics or not."""


def run_on_ray(tasks: Sequence[Task], address: str, gpus_per_run: float | None = None) -> Iterator[Outcome]:
    """Execute runs on a Ray cluster.

    Args:
        tasks: the runs; each reserves as many cores as it has threads, or 1 if that is not set.
        address: address of the cluster, "auto" for the cluster that this machine belongs to, or :data:`LOCAL` to start
            one on this machine.
        gpus_per_run: number of GPUs per run, or a fraction of one. Default: 1 if the cluster has GPUs.

    Yields:
        The outcome of each run when it ends, in any order.

    Raises:
        ConfigError: Ray is not installed, the cluster cannot be reached, or none of its machines has the cores and
            GPUs of a run; a local cluster could be reached from other machines.
    """
    with _local_cluster() if address == LOCAL else _cluster(address) as ray:
        yield from _run_tasks(ray, tasks, gpus_per_run)


@contextmanager
def _cluster(address: str, **options: Any) -> Iterator[Any]:
    """Connect to a cluster inside the block, and yield the module `ray`."""
    ray = _import_ray()
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(
            "cannot connect to a Ray cluster",
            where="--ray",
            got=f"{address}: {str(error).splitlines()[0]}",
            hint="start a cluster with ray start --head",
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _local_cluster() -> Iterator[Any]:
    """Start a cluster that only this process can connect to inside the block, and yield the module `ray`."""
    os.environ.update(_LOOPBACK)
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # stays set: Ray keeps the first token that it reads
    short = "/tmp" if os.path.isdir("/tmp") else None  # the path of a socket has at most about 100 characters
    with (
        TemporaryDirectory(prefix="ray-", dir=short, ignore_cleanup_errors=True) as private,
        _environment(_NO_HTTP),
        # Ray opens its folder to all users: it is one inside a private one.
        _cluster(LOCAL, include_dashboard=False, _temp_dir=os.path.join(private, "ray")) as ray,
    ):
        _check_loopback(ray)
        yield ray


def _run_tasks(ray: Any, tasks: Sequence[Task], gpus_per_run: float | None) -> Iterator[Outcome]:
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


def _check_loopback(ray: Any) -> None:
    """Check that the cluster listens on the loopback address; Ray reads its configuration when it is imported."""
    address = ray.util.get_node_ip_address()
    if not ip_address(address).is_loopback:
        raise ConfigError(
            "a local Ray cluster could be reached from other machines",
            where="--ray local",
            expected="the loopback address",
            got=address,
            hint="do not import ray before the study, or use --workers",
        )


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables inside the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _import_ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise ConfigError("Ray is not installed", where="--ray", hint="pip install 'ggcam[ray]'") from error
    return ray
