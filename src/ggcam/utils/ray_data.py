"""Apply a function to batches of tasks on all machines of a Ray cluster, by Ray Data.

Ray Data repeats the batches of a machine that was lost, and each outcome arrives once. The tasks are sent to the
machines; files are not: they must be at the same paths on all machines, for example on a shared disk.
"""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from ggcam.errors import ConfigError
from ggcam.utils.logs import LogRecords
from ggcam.utils.ray_machines import Surroundings, alive_machines, surroundings, visible_file
from ggcam.utils.worker_main import Answer

Batch = TypeVar("Batch")
Outcome = TypeVar("Outcome")

MAX_BLOCKS = 10_000
"""Maximum number of blocks of batches: Ray keeps a record of each in the memory of this process."""

RETRIES = 5
"""How often a batch is repeated after its process or machine was lost. Ray Data itself repeats it forever, and its
arguments that limit this are deprecated."""


@dataclass(frozen=True)
class Workers:
    """The worker processes on a cluster.

    Attributes:
        cores: number of cores that each reserves; 1 for one with GPUs.
        gpus: number of GPUs that each reserves.
        keep: whether a worker keeps the function, with what it has loaded, from batch to batch.
    """

    cores: int = 1
    gpus: int = 0
    keep: bool = False


@dataclass(frozen=True)
class _Call:
    """A function, and what the machine that calls it must have in common with this one.

    Attributes:
        work: the function.
        needed: what the machine must have.
        token: file in the output folder; beside it are those that count the starts of each batch, which go with it.
        retries: how often a batch may be repeated.
    """

    work: Callable[[Any], Any]
    needed: Surroundings
    token: Path
    retries: int


def map_on_ray(
    ray: Any,
    work: Callable[[Batch], Outcome],
    batches: Sequence[Batch],
    *,
    out: Path,
    files: Iterable[Path],
    packages: Sequence[str],
    workers: Workers = Workers(),
    in_order: bool = False,
) -> Iterator[Outcome]:
    """Apply a function to batches on all machines of a cluster.

    Args:
        ray: the connected module, from :func:`ggcam.utils.ray_cluster.ray_cluster`.
        work: the function; importable on all machines.
        batches: its arguments.
        out: existing folder to which the function writes.
        files: files that the function reads; each machine must see the first one that exists here.
        packages: packages that must have the same versions on all machines.
        workers: the worker processes.
        in_order: whether the outcomes are in the order of the batches.

    Yields:
        The outcome of each batch.

    Raises:
        ConfigError: a machine has other versions or does not see the files, or the cluster cannot call the function.
        Exception: any exception that `work` raises.
    """
    if not batches:
        return
    with visible_file(out) as token:
        needed = surroundings([token, *islice(filter(Path.exists, files), 1)], packages)
        call = _Call(work, needed, token, RETRIES)
        try:
            for answer in _answers(ray, call, batches, workers, in_order):
                answer.records.emit()
                if answer.kind == "raised":
                    assert isinstance(answer.content, Exception)
                    raise answer.content
                yield answer.content  # pyright: ignore[reportReturnType]
        except ray.exceptions.RayError as error:
            raise _cluster_error(error) from error


def _answers(ray: Any, call: _Call, batches: Sequence[object], workers: Workers, in_order: bool) -> Iterator[Answer]:
    """Let Ray Data distribute the calls."""
    ray_data: Any = import_module("ray.data")
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # it logs each step, and errors that are raised as well
    context = ray_data.DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = in_order
    with ray_data.DataContext.current(context):
        rows = [{"number": number, "batch": ray.cloudpickle.dumps(batch)} for number, batch in enumerate(batches)]
        dataset = ray_data.from_items(rows, override_num_blocks=min(len(rows), MAX_BLOCKS))
        del rows  # they are in the object store
        reserved = {"num_gpus": workers.gpus} if workers.gpus else {"num_cpus": workers.cores}
        if workers.keep:
            room = _room(ray, workers)
            pool = ray_data.ActorPoolStrategy(min_size=1, initial_size=room, max_size=room)
            work: dict[str, Any] = {"fn": _Worker, "fn_constructor_args": (call,), "compute": pool}
        else:
            work = {"fn": _answer, "fn_kwargs": {"call": call}}
        answers = dataset.map(**work, **reserved)
    for block in answers.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        yield from map(pickle.loads, block["answer"].to_pylist())


class _Worker:
    """A worker process that keeps the function."""

    def __init__(self, call: _Call):
        self._call = call

    def __call__(self, row: Mapping[str, Any]) -> dict[str, bytes]:
        return _answer(row, self._call)


def _answer(row: Mapping[str, Any], call: _Call) -> dict[str, bytes]:
    """Call the function on the batch of a row of the data set, on a machine of the cluster."""
    records = LogRecords()
    with records.collected():
        try:
            call.needed.set_up()
            with _counted(call.token.with_name(f"{row['number']}.{call.token.name}"), call.retries):
                answer = Answer("returned", call.work(pickle.loads(row["batch"])), records)
        except Exception as error:  # Ray would wrap it
            error.add_note(f"on a machine of the cluster:\n{traceback.format_exc()}")
            answer = Answer("raised", error.with_traceback(None), records)
    return {"answer": pickle.dumps(answer)}


@contextmanager
def _counted(starts: Path, retries: int) -> Iterator[None]:
    """Count the starts of a batch in a file, which stays only if the process ends inside the block.

    Raises:
        ConfigError: the process has ended in all earlier starts, and there are no more retries.
    """
    with starts.open("ab") as file:
        file.write(b".")
        count = file.tell()
    try:
        if count > retries + 1:
            raise ConfigError(
                "a unit of work ended its process, or its machine was lost, each time",
                where="--ray",
                got=f"{count - 1} times",
                hint="most often memory runs out: start the cluster with fewer cores per machine (`ray start "
                "--num-cpus`), and run the same command again to continue",
            )
        yield
    finally:
        starts.unlink(missing_ok=True)


def _room(ray: Any, workers: Workers) -> int:
    """Count the workers that fit on the machines of the cluster, at least 1."""
    needed = {"CPU": workers.cores, "GPU": workers.gpus}
    machines = alive_machines(ray)
    fits = (min(machine.get(name, 0) // number for name, number in needed.items() if number) for machine in machines)
    return max(1, int(sum(fits)))


def _cluster_error(error: Exception) -> ConfigError:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return ConfigError(
        "the cluster cannot do the work",
        where="--ray",
        got=f"{type(error).__name__}: {lines[-1] if lines else ''}",
        hint="install the same version of ggcam on all machines; run the same command again to continue",
    )
