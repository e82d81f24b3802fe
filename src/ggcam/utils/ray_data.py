"""Apply a function to batches of tasks on all machines of a Ray cluster, by Ray Data.

Ray Data repeats the batches of a machine that was lost, and each outcome arrives once. The tasks are sent to the
machines; files are not: they must be at the same paths on all machines, for example on a shared disk.
"""

from __future__ import annotations

import logging
import os
import pickle
import secrets
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from ggcam.errors import ConfigError
from ggcam.utils.logs import LogRecords
from ggcam.utils.versions import versions
from ggcam.utils.worker_main import Answer

Batch = TypeVar("Batch")
Outcome = TypeVar("Outcome")

MAX_BLOCKS = 10_000
"""Maximum number of blocks of batches: Ray keeps a record of each in the memory of this process."""


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
        files: files that the machine must see.
        versions: versions of the packages that the outcome depends on.
        folder: the current folder, to which paths may be relative.
        variables: environment variables of ggcam.
    """

    work: Callable[[Any], Any]
    files: tuple[Path, ...]
    versions: tuple[tuple[str, str], ...]
    folder: str
    variables: tuple[tuple[str, str], ...]


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
    with _visible_file(out) as token:
        call = _Call(
            work,
            (token.resolve(), *islice(filter(Path.exists, files), 1)),
            tuple(versions(*packages).items()),
            os.getcwd(),
            tuple((name, value) for name, value in os.environ.items() if name.startswith("GGCAM_")),
        )
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
        rows = [{"batch": ray.cloudpickle.dumps(batch)} for batch in batches]
        dataset = ray_data.from_items(rows, override_num_blocks=min(len(rows), MAX_BLOCKS))
        del rows  # they are in the object store
        reserved = {"num_gpus": workers.gpus} if workers.gpus else {"num_cpus": workers.cores}
        if workers.keep:
            number = _room(ray, workers)
            pool = ray_data.ActorPoolStrategy(min_size=1, initial_size=number, max_size=number)
            answers = dataset.map(_Worker, fn_constructor_args=(call,), compute=pool, **reserved)
        else:
            answers = dataset.map(_answer, fn_kwargs={"call": call}, **reserved)
    for block in answers.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        yield from map(pickle.loads, block["answer"].to_pylist())


class _Worker:
    """A worker process that keeps the function."""

    def __init__(self, call: _Call):
        self._call = call

    def __call__(self, row: Mapping[str, bytes]) -> dict[str, bytes]:
        return _answer(row, self._call)


def _answer(row: Mapping[str, bytes], call: _Call) -> dict[str, bytes]:
    """Call the function on the batch of a row of the data set, on a machine of the cluster."""
    records = LogRecords()
    with records.collected():
        try:
            _prepare_process(call.files, call.versions, call.folder, call.variables)
            answer = Answer("returned", call.work(pickle.loads(row["batch"])), records)
        except Exception as error:  # Ray would wrap it
            error.add_note(f"on a machine of the cluster:\n{traceback.format_exc()}")
            answer = Answer("raised", error.with_traceback(None), records)
    return {"answer": pickle.dumps(answer)}


@cache
def _prepare_process(
    files: Sequence[Path], expected: tuple[tuple[str, str], ...], folder: str, variables: tuple[tuple[str, str], ...]
) -> None:
    """Check, once per process, what this machine must have in common with the one that the command runs on."""
    os.environ.update(variables)
    with suppress(OSError):  # not needed where all paths are absolute
        os.chdir(folder)
    where = f"machine {import_module('ray').util.get_node_ip_address()} of the Ray cluster"
    found = tuple(versions(*dict(expected)).items())
    if found != expected:
        raise ConfigError(
            "a machine of the cluster has other versions than this one",
            where=where,
            expected=_in_words(expected, found),
            got=_in_words(found, expected),
            hint="install the same versions on all machines",
        )
    for path in files:
        if not path.exists():
            raise ConfigError(
                "a machine of the cluster does not see the files of this one",
                where=where,
                expected=path,
                hint="keep the data and the output folder on a disk that all machines share, at the same path",
            )


def _in_words(packages: Sequence[tuple[str, str]], others: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {version}" for name, version in packages if (name, version) not in others)


@contextmanager
def _visible_file(folder: Path) -> Iterator[Path]:
    """Keep a new file in a folder inside the block; a machine that does not see it has another folder of that name."""
    path = folder / f"visible.{secrets.randbits(64)}.part"  # a leftover is removed like those of `atomic_path`
    path.touch()
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _room(ray: Any, workers: Workers) -> int:
    """Count the workers that fit on the machines of the cluster, at least 1."""
    needed = {"CPU": workers.cores, "GPU": workers.gpus}
    machines = [machine["Resources"] for machine in ray.nodes() if machine["Alive"]]
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
