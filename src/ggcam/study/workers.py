"""How many runs of a study this machine executes at a time."""

from __future__ import annotations

import math
import os

from ggcam.data.prepared import PreparedData
from ggcam.study.plan import StudyPlan
from ggcam.training.config import TrainConfig
from ggcam.utils.parallel import cpu_count

PROCESS_BYTES = 1.5e9
"""Memory of a run without its batches: the modules that it imports, a small network and its results."""

BYTES_PER_PIXEL = 3000
"""Memory of training per pixel of a batch. Activations kept for the backward pass, measured in float32: 430 for a
ResNet-18, 1,700 for a ResNet-50 and 3,100 for an EfficientNetV2-S; in bfloat16 less than half of that."""

MEMORY_FRACTION = 0.75
"""Fraction of the machine's memory that the runs may take together."""


def choose_workers(plan: StudyPlan, data: PreparedData, threads: int | None = None) -> int:
    """Choose how many runs to execute at a time: one per GPU, or else one per core as far as the memory allows.

    Two runs with one thread each finish sooner than one after the other with two threads: the smaller the network and
    the images, the more time a thread waits for the others.

    Args:
        plan: plan of the study.
        data: prepared folder that the runs use.
        threads: number of threads of each run, if it is given.

    Returns:
        The number, at least 1. It depends on the plan and the machine alone, not on how many runs are finished, so that
        all runs of a study have the same number of threads.
    """
    import torch

    accelerator = plan.base.accelerator
    gpus = torch.cuda.device_count() if accelerator in ("auto", "gpu", "cuda") else 0
    if gpus:
        return min(gpus, len(plan.runs))
    if accelerator not in ("auto", "cpu") or (accelerator == "auto" and torch.backends.mps.is_available()):
        return 1
    by_memory = int(MEMORY_FRACTION * _memory_bytes() / _run_bytes(plan.base, data))
    return max(1, min(len(plan.runs), cpu_count() // (threads or 1), by_memory))


def _run_bytes(config: TrainConfig, data: PreparedData) -> float:
    return PROCESS_BYTES + BYTES_PER_PIXEL * min(config.batch_size, len(data)) * math.prod(data.frame.shape)


def _memory_bytes() -> int:
    """Return the memory of this machine; 0 where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0
