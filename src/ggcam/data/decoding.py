"""Decode image files in worker processes: a file that crashes or blocks its decoder is one unreadable file, no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import TypeVar

from ggcam.data.image_limits import MEGAPIXELS_VARIABLE, SECONDS_VARIABLE, image_limits
from ggcam.errors import ConfigError, ImageError
from ggcam.utils.limits import Limits
from ggcam.utils.parallel import Guard
from ggcam.utils.worker_process import WorkerError, call_in_worker

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")


def decode_in_worker(decode: Callable[[Task], Outcome], task: Task, path: Path) -> Outcome:
    """Call a function that decodes an image file in a worker process, within the limits of time and memory.

    Args:
        decode: the function; importable by other processes.
        task: its argument.
        path: the file.

    Returns:
        What the function returns.

    Raises:
        ImageError: the function raised it, or the decoder crashed, or it exceeded a limit.
        ConfigError: no worker process could start, or an environment variable is invalid.
    """
    limits = image_limits([path])
    try:
        return call_in_worker(decode, task, limits, path)
    except WorkerError as error:
        if error.reason == "not started":
            raise ConfigError(
                "no process for decoding images could start", got=error.detail, hint="free some memory"
            ) from None
        raise decoding_error(error, limits, path) from None


def decoding_guard(
    files: Callable[[Task], Sequence[Path]], failed: Callable[[Task, ImageError], Outcome], slowness: float = 1
) -> Guard[Task, Outcome]:
    """Return the guard of :func:`ggcam.utils.parallel.parallel_map` for tasks that decode image files.

    Args:
        files: returns the files of a task.
        failed: returns the outcome of a task whose decoder crashed or exceeded a limit.
        slowness: factor of the time limit, for tasks that do more than decoding.

    Returns:
        The guard.
    """

    def limits(task: Task) -> Limits:
        found = image_limits(files(task))
        return replace(found, seconds=slowness * found.seconds)

    def error(task: Task, cause: WorkerError) -> Outcome:
        return failed(task, decoding_error(cause, limits(task), " or ".join(map(str, files(task)))))

    return Guard(limits, error, label=lambda task: files(task)[0])


def decoding_error(error: WorkerError, limits: Limits, where: object) -> ImageError:
    """Describe why a worker process did not answer.

    Args:
        error: what happened to the worker.
        limits: the limits that it had.
        where: the file.

    Returns:
        The error.
    """
    if error.reason in ("overran", "waited"):
        overran = error.reason == "overran"
        time = f"{ceil(limits.seconds)} s of processor time" if overran else f"{ceil(limits.deadline_s)} s"
        return ImageError(
            f"decoding the image takes more than {time}, as damaged files do",
            where=where,
            hint=f"if the file is sound, set the environment variable {SECONDS_VARIABLE} to a longer time",
        )
    if error.reason == "killed":
        return ImageError(
            "the process that decoded the image was killed, most likely because memory ran out",
            where=where,
            got=error.detail,
            hint="free some memory, then run the same command again",
        )
    return ImageError(
        "the image crashes its decoder: it is damaged, or needs more memory than the limit of "
        f"{limits.memory_bytes / 1e9:.1f} GB",
        where=where,
        got=error.detail,
        hint=f"if the file is sound, set the environment variable {MEGAPIXELS_VARIABLE} to its number of pixels in "
        "millions, which raises the limit of memory, too",
    )
