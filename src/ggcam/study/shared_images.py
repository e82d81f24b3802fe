"""The images of a study, decoded once into a file that all its runs map into their memory."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ggcam.data.dataset import AUTO_CACHE_BYTES
from ggcam.data.pixel_cache import write_pixels
from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.errors import GGCamError
from ggcam.study.folder import PARTIAL
from ggcam.study.run import Task

log = logging.getLogger(__name__)


@contextmanager
def shared_images(tasks: Sequence[Task]) -> Iterator[Sequence[Task]]:
    """Decode the images of a study inside the block, if several runs would keep them in memory.

    Args:
        tasks: runs of one study on the same prepared folder.

    Yields:
        The runs, with the file of the decoded images; the same ones if the images are too large for memory or the
        disk, or cannot be decoded, which each run reports for itself.
    """
    folder = tasks[0].study / f"{PARTIAL}images" if tasks else Path()
    try:
        path = _decode(tasks, folder) if len(tasks) > 1 else None
        yield [replace(task, images=path) for task in tasks]
    finally:
        if tasks:
            shutil.rmtree(folder, ignore_errors=True)


def _decode(tasks: Sequence[Task], folder: Path) -> Path | None:
    """Write the file, and return its path; None if there is to be none."""
    path = folder / "images.npy"
    try:
        data = load_prepared(tasks[0].data)
        if not len(data) or not _fits(data, {task.run.config.cache for task in tasks}, folder.parent):
            return None
        folder.mkdir()
        write_pixels(path, data, data.cases["case_id"].tolist())
    except (GGCamError, OSError):
        log.debug("the runs decode their images themselves", exc_info=True)
        return None
    return path


def _fits(data: PreparedData, caches: set[str], folder: Path) -> bool:
    size = len(data) * math.prod(data.image_shape)
    in_memory = caches == {"memory"} or (caches == {"auto"} and size <= AUTO_CACHE_BYTES)
    # Two bytes per value at most, and as much again for the runs themselves.
    return in_memory and shutil.disk_usage(folder).free > 4 * size
