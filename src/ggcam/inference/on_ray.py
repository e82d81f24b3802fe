"""Predict image files on all machines of a Ray cluster."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from ggcam.inference.engines import EngineName, Precision
from ggcam.inference.prediction_files import BatchRows, FileOptions, predict_and_write
from ggcam.inference.predictor import Predictor, load_predictor
from ggcam.utils.atomic import remove_leftovers
from ggcam.utils.ray_cluster import ray_cluster
from ggcam.utils.ray_data import Workers, map_on_ray
from ggcam.utils.ray_machines import alive_machines

PASSES = 4
"""Forward passes in a batch: the files of one are written while the next one is computed."""

MAX_CORES = 8
"""Maximum number of cores of a worker: with more, a network is not proportionally faster."""


def predict_on_ray(
    address: str,
    root: Path,
    images: Mapping[Path, str],
    batch_size: int,
    device: str | None,
    engine: EngineName,
    precision: Precision,
    reduced_resolution: bool,
    options: FileOptions,
) -> Generator[BatchRows, None, None]:
    """Predict image files and write their overlays and other files, on all machines of a cluster.

    Each worker loads the network once. It has one GPU where the cluster has any that the engine can use.

    Args:
        address: address of the cluster; see :func:`ggcam.utils.ray_cluster.ray_cluster`.
        root: run folder, or an ONNX file or bundle.
        images: image file -> name of its overlay.
        batch_size: number of images in one forward pass.
        device: torch device; None for a GPU where there is one.
        engine: what runs the network.
        precision: what it is computed in.
        reduced_resolution: as for :func:`ggcam.load_predictor`.
        options: what is written.

    Yields:
        The rows of each forward pass once, in the order of the images.

    Raises:
        ConfigError: the cluster cannot be reached, or a machine has another version of ggcam or does not see the files.
        OSError: a file cannot be written.
    """
    if not images:
        return
    names = iter(images.items())
    batches: list[dict[Path, str]] = []
    while batch := dict(islice(names, PASSES * batch_size)):
        batches.append(batch)
    work = _Prediction(root, batch_size, device, engine, precision, reduced_resolution, options)
    with ray_cluster(address) as ray:
        for rows in map_on_ray(
            ray,
            work,
            batches,
            out=options.out,
            files=images,
            packages=("ggcam",),
            workers=_workers(ray, device, engine),
            in_order=True,
        ):
            yield from rows
    remove_leftovers(options.out)  # of lost machines
    if options.writer is not None:
        remove_leftovers(options.writer.folder)


@dataclass(frozen=True)
class _Prediction:
    """Predicts batches of images with a network that is loaded for the first one."""

    root: Path
    batch_size: int
    device: str | None
    engine: EngineName
    precision: Precision
    reduced_resolution: bool
    options: FileOptions

    @cached_property
    def _predictor(self) -> Predictor:
        reduced = self.reduced_resolution
        return load_predictor(self.root, self.device, self.engine, precision=self.precision, reduced_resolution=reduced)

    def __call__(self, images: Mapping[Path, str]) -> list[BatchRows]:
        return list(predict_and_write(self._predictor, images, self.batch_size, self.options))


def _workers(ray: Any, device: str | None, engine: EngineName) -> Workers:
    """Choose workers with a GPU each if the network can use one, or else with as many cores as every machine has."""
    machines = alive_machines(ray)
    if engine == "torch" and device != "cpu" and any(machine.get("GPU", 0) >= 1 for machine in machines):
        return Workers(gpus=1, keep=True)
    cores = [int(machine.get("CPU", 0)) for machine in machines]
    return Workers(min([MAX_CORES, *filter(None, cores)]), keep=True)
