"""The faster precision for training a network on this machine, found by timing a step with each."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from ggcam.models.cam import CAMClassifier
from ggcam.training.config import TrainConfig
from ggcam.training.model_spec import ModelSpec
from ggcam.utils.faster_precision import TIMED_IMAGES, FloatPrecision, faster_precision, shortest_times
from ggcam.utils.freed_memory import all_freed_memory_kept
from ggcam.utils.processor import processor_name
from ggcam.utils.seeding import local_seed

CACHE = "training_precision"


def with_measured_precision(config: TrainConfig, spec: ModelSpec, model: CAMClassifier, processes: int) -> TrainConfig:
    """Choose the precision, if the config leaves it open.

    The choice is measured once per machine, network and size, and kept in the user's cache folder.

    Args:
        config: options of the training.
        spec: description of the network.
        model: the network; it stays as it is.
        processes: number of processes of the training. Several of them must agree, so they do not measure: they use
            bfloat16 if the device has instructions for it.

    Returns:
        The config with precision bf16 or 32.
    """
    if config.precision != "auto":
        return config
    device = _device(config.accelerator)
    if device is None:
        return replace(config, precision="32")
    if processes > 1:
        return replace(config, precision="bf16" if has_bf16_instructions(device) else "32")
    batch = (max(2, min(config.batch_size, TIMED_IMAGES)), spec.channels, *spec.frame.shape)
    key = _key(config, spec, device)
    return replace(config, precision=faster_precision(CACHE, key, lambda: measure_step(model, batch, device)))


def measure_step(model: CAMClassifier, batch: tuple[int, ...], device: torch.device) -> dict[FloatPrecision, float]:
    """Time forward and backward pass in float32 and in bfloat16, in turn; the shortest time of each counts.

    On a CPU, the time is that of one thread on its core. With ten other processes on two cores it varied by a fifth,
    the time on the clock by a factor of three, and two threads spent 90 % of theirs on waiting for each other.

    Memory is in the order channels last, as in training: of nine networks at 224x224 in either precision, none was
    faster otherwise by more than 4 %, and EfficientNet-Lite0 took 1.4 times as long in float32.

    Args:
        model: the network. A copy is timed: weights, batch statistics and global random generators stay as they are.
        batch: shape of the images.
        device: where to compute.

    Returns:
        Seconds of a step; infinite in bfloat16 if the network cannot be computed in it.
    """
    # Dropout draws from the global generators.
    with local_seed(0), _as_in_training(device):
        timed = copy.deepcopy(model).to(device, memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue]
        image = torch.randint(0, 256, batch, dtype=torch.uint8).to(device, memory_format=torch.channels_last)

        def step(precision: FloatPrecision) -> float:
            try:
                return _timed_step(timed, image, precision == "bf16")
            except RuntimeError:  # an operation without an implementation in bfloat16
                if precision == "32":
                    raise
                return math.inf

        return shortest_times(step)


@contextmanager
def _as_in_training(device: torch.device) -> Iterator[None]:
    """On a CPU, keep memory as the training does, and compute with one thread."""
    if device.type != "cpu":
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with all_freed_memory_kept():
            yield
    finally:
        torch.set_num_threads(before)


def _timed_step(model: CAMClassifier, image: Tensor, bf16: bool) -> float:
    clock = time.process_time if image.device.type == "cpu" else time.perf_counter
    started = clock()
    with torch.autocast(image.device.type, torch.bfloat16, enabled=bf16):
        output = model(image)
    (output.logits.float().square().mean() + output.cam.float().square().mean()).backward()
    if image.device.type == "cuda":
        torch.cuda.synchronize(image.device)
    seconds = clock() - started
    model.zero_grad()
    return seconds


def _device(accelerator: str) -> torch.device | None:
    """Return the device of the training if it is one on which both precisions are timed."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    if accelerator == "cpu" or (accelerator == "auto" and not torch.backends.mps.is_available()):
        return torch.device("cpu")
    return None


def has_bf16_instructions(device: torch.device) -> bool:
    """Return whether a device computes bfloat16 by instructions of its own, rather than emulating it.

    Args:
        device: CPU or GPU.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def _key(config: TrainConfig, spec: ModelSpec, device: torch.device) -> str:
    """Return everything that the choice may depend on, in words."""
    network = {
        "backbone": config.backbone,
        "num_stages": spec.num_stages,
        "output_stride": spec.output_stride,
        "head": spec.head,
        "freeze_stages": config.freeze_stages or None,
        "checkpointing": config.checkpointing or None,
    }
    return ", ".join(
        [
            *(f"{name} {value}" for name, value in network.items() if value is not None),
            f"{spec.frame}x{spec.channels}",
            f"batch {min(config.batch_size, TIMED_IMAGES)}",
            processor_name() if device.type == "cpu" else torch.cuda.get_device_name(device),
            f"torch {torch.__version__}",
        ]
    )
