"""Prepare images on all machines of a Ray cluster."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

from ggcam.data.prepare.images import PREPARE_GUARD, ImageOutcome, ImageTask, prepare_image
from ggcam.data.prepare.job import VERSIONED_PACKAGES
from ggcam.utils.parallel import parallel_map
from ggcam.utils.ray_cluster import ray_cluster
from ggcam.utils.ray_data import map_on_ray

BATCH_CASES = 16
"""Cases in a batch: enough to make the transport negligible, and few to repeat when a machine is lost."""


def prepare_on_ray(tasks: Sequence[ImageTask], address: str, out: Path) -> Generator[ImageOutcome, None, None]:
    """Prepare images; each machine writes those of its batches.

    Args:
        tasks: what to do.
        address: address of the cluster; see :func:`ggcam.utils.ray_cluster.ray_cluster`.
        out: existing folder that contains the prepared images.

    Yields:
        The outcome of each task once, in any order.

    Raises:
        ConfigError: the cluster cannot be reached, or a machine has other versions or does not see the files.
        PreparedFolderError: a prepared file cannot be written.
    """
    if not tasks:
        return
    batches = [tasks[start : start + BATCH_CASES] for start in range(0, len(tasks), BATCH_CASES)]
    images = (task.files.image for task in tasks)
    with ray_cluster(address) as ray:
        for outcomes in map_on_ray(ray, _prepare_batch, batches, out=out, files=images, packages=VERSIONED_PACKAGES):
            yield from outcomes


def _prepare_batch(tasks: Sequence[ImageTask]) -> list[ImageOutcome]:
    return list(parallel_map(prepare_image, tasks, 1, PREPARE_GUARD))
