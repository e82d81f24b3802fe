"""Training steps of the presets' networks and of timm's: ours, the same network bare, and the original's way."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from benchmarks import gpu_step
from benchmarks import training_ways as ways
from benchmarks.gpu.measurements import Work

FRAMES = {(1536, 1280): 8, (512, 448): 64}
"""Frame -> batch size, with about as many pixels in a batch."""

SECONDS = 1.2
"""Spent on timing one way, after its first steps."""


def run(work: Work) -> None:
    """Measure every network in every frame; the presets' networks come first."""
    for task in tasks(work):
        measure(work, task, ("ours", "bare network", "as the original"))


def tasks(work: Work) -> Iterator[ways.Task]:
    """Yield what is trained on what."""
    if work.tiny:
        yield ways.Task("test_resnet", (64, 64), 2, work.device)
        return
    for network in ways.NETWORKS:
        for frame, batch_size in FRAMES.items():
            yield ways.Task(network, frame, batch_size, work.device)


def measure(work: Work, task: ways.Task, of_ways: tuple[str, ...], needed_s: float = 5.0) -> None:
    """Measure some ways of one task, each for itself and if there is so much time left."""
    torch.backends.cudnn.benchmark = True  # for every way alike
    subject = f"{task.network}, {task.frame[0]}x{task.frame[1]}, batch of {task.batch_size}"
    if not work.has_time(subject, needed_s):
        return
    flops = 0
    with work.measuring(f"{subject}: operations"):
        flops = gpu_step.flops_of(task)
    for way in of_ways:
        name = f"{subject}: {way}"
        if not work.has_time(name, needed_s):
            continue
        with work.measuring(name):
            speed = gpu_step.measure(task, way, flops, 0.01 if work.tiny else SECONDS)
            work.add(
                name,
                images_per_s=speed.images_per_s,
                tflops=speed.tflops,
                share_of_bf16_peak=speed.share_of_peak,
                peak_memory_gib=speed.peak_memory_gib,
                first_step_s=speed.first_step_s,
            )
