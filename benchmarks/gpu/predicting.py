"""Prediction: the network alone on images in memory, and `ggcam predict`'s way from DICOM files to overlays."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from benchmarks import training_ways as ways
from benchmarks.gpu.measurements import Work
from benchmarks.gpu.prepared_data import prepared_data, simulated_source
from ggcam.inference.predict import predict
from ggcam.inference.torch_engine import TorchEngine
from ggcam.training.config import TrainConfig
from ggcam.training.train import train


def run(work: Work) -> None:
    """Measure every network alone, then one on files."""
    frame, batch_size = ((64, 64), 2) if work.tiny else ((1536, 1280), 8)
    for network in ("test_resnet",) if work.tiny else ways.NETWORKS:
        subject = f"{network}, {frame[0]}x{frame[1]}, batch of {batch_size}, images in memory"
        if work.has_time(subject):
            with work.measuring(subject):
                task = ways.Task(network, frame, batch_size, work.device)
                engine, image = TorchEngine(task.model(), torch.device(work.device)), task.batch().image.cpu().numpy()
                work.add(subject, images_per_s=batch_size / _seconds(partial(engine, image), 0.01 if work.tiny else 1))
    with work.measuring("ggcam predict"):
        _from_files(work, frame, batch_size)


def _seconds(call: Callable[[], object], at_least_s: float) -> float:
    """Of one call, the mean over at least so many seconds. A call's answer is on the host, so nothing is left to do."""
    call()
    call()
    calls, started = 0, time.perf_counter()
    while time.perf_counter() - started < at_least_s:
        call()
        calls += 1
    return (time.perf_counter() - started) / calls


def _from_files(work: Work, frame: tuple[int, int], batch_size: int) -> None:
    network, images = ("test_resnet", 12) if work.tiny else ("original-resnet-50", 256)
    size = f"{frame[0]}x{frame[1]}"
    config = TrainConfig(
        backbone=network, epochs=1, batch_size=batch_size, accelerator="gpu" if work.device == "cuda" else "cpu"
    )
    run = train(prepared_data(work.folder, size, 24, train_fraction=0.5), config, work.folder, "run")
    files = work.folder / "images"
    files.mkdir()
    for case in simulated_source(work.folder / "raw", size, images).cases:
        (files / f"{case.case_id}.dcm").hardlink_to(case.image)
    for overlays in (False, True):
        subject = f"ggcam predict, {network}, {size}, DICOM files{', with overlays' if overlays else ''}"
        if work.has_time(subject):
            started = time.perf_counter()
            _predict(run.folder.root, files, work, overlays, batch_size)
            work.add(subject, images_per_s=images / (time.perf_counter() - started))


def _predict(run: Path, files: Path, work: Work, overlays: bool, batch_size: int) -> None:
    out = work.folder / f"predictions-{overlays}"
    found = predict(run, [files], out, overlays=overlays, batch_size=batch_size, device=work.device, engine="torch")
    if found.failed:
        raise RuntimeError(f"{len(found.failed)} images failed: {next(iter(found.failed.values()))}")
