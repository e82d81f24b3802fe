"""One, four and eight small runs at once on one GPU, as a study makes them."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import torch

from benchmarks.gpu.measurements import Work
from benchmarks.gpu.prepared_data import prepared_data
from ggcam.data.prepared import load_prepared
from ggcam.training.config import TrainConfig
from ggcam.training.train import train
from ggcam.utils.parallel import cpu_count

_barriers: dict[int, Barrier] = {}
"""In a worker process: number of runs at once -> what they wait at for one another."""


def run(work: Work) -> None:
    """Measure the images per second of all runs together."""
    counts, cases, epochs = ((1, 2), 48, 1) if work.tiny else ((1, 4, 8), 1024, 10)
    data = prepared_data(work.folder, "64x64" if work.tiny else "128x96", cases)
    training_cases = data.cases["split"].tolist().count("train")
    config = TrainConfig(
        backbone="test_resnet" if work.tiny else "resnet10t",
        output_stride=16,
        epochs=epochs,
        accelerator="gpu" if work.device == "cuda" else "cpu",
        devices="1",
        cache="memory",
    )
    context: Any = multiprocessing.get_context("spawn")
    barriers = {count: context.Barrier(count) for count in counts}
    with ProcessPoolExecutor(max(counts), context, initializer=_start_worker, initargs=(barriers,)) as pool:
        alone = None
        train_at_once(pool, max(counts), data.root, work.folder, replace(config, epochs=1))  # starts every process
        for count in counts:
            seconds = train_at_once(pool, count, data.root, work.folder, config)
            speed = count * epochs * training_cases / seconds
            alone = alone or speed
            work.add(
                f"{count} at once, {config.backbone}, {data.frame.height_px}x{data.frame.width_px}",
                images_per_s=speed,
                times_one_run=speed / alone,
                seconds=seconds,
            )


def train_at_once(pool: ProcessPoolExecutor, count: int, data: Path, out: Path, config: TrainConfig) -> float:
    """Train several runs that begin together; return the seconds from the first start to the last end."""
    times = list(pool.map(_train, [(data, out / "runs", config, count)] * count))
    return max(end for _, end in times) - min(start for start, _ in times)


def _start_worker(barriers: dict[int, Barrier]) -> None:
    _barriers.update(barriers)


def _train(arguments: tuple[Path, Path, TrainConfig, int]) -> tuple[float, float]:
    """Train once all runs of this round are ready; give the times of start and end."""
    data, out, config, count = arguments
    torch.set_num_threads(max(1, cpu_count() // count))
    prepared = load_prepared(data)
    _barriers[count].wait(120)
    started = time.time()
    train(prepared, config, out)
    return started, time.time()
