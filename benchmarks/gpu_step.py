"""Training on one GPU: images per second of ours, of the same bare network and of the original's way.

python -m benchmarks.gpu_step [--frame HxW] [--batch-size N] [--network NAME ...] [--seconds S] [--device cpu]

Beside them the share that ours has of the device's peak in bfloat16, peak memory, and what torch.compile would add.
Floating-point operations are counted in the convolutions and matrix products of the bare network, forward and back.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import training_ways as ways

PEAK_TFLOPS = {"A100": 312, "H100 PCIe": 756, "H100": 989, "H200": 989, "L40S": 362, "RTX 4090": 165}
"""Dense bfloat16, by the makers' data sheets; the first name that is part of the device's counts."""

WAYS: dict[str, Callable[[ways.Task], Callable[[], None]]] = {
    "ours": ways.ours,
    "bare network": ways.bare,
    "as the original": ways.originals,
    "ours, compiled": partial(ways.ours, compile_network=True),
}


@dataclass(frozen=True)
class StepSpeed:
    """What a way of taking a training step reaches.

    Attributes:
        images_per_s: median.
        tflops: operations per second of the bare network, in 1e12.
        share_of_peak: of the device's peak in bfloat16; None where that is not known.
        peak_memory_gib: most memory on the GPU at one time; None on a CPU.
        first_step_s: seconds of the first step, in which compiling or the choice of algorithms happens.
    """

    images_per_s: float
    tflops: float
    share_of_peak: float | None
    peak_memory_gib: float | None
    first_step_s: float

    def __str__(self) -> str:
        share = f"{self.tflops:7.2f} TFLOP/s" if self.share_of_peak is None else f"{self.share_of_peak:7.1%} of peak"
        memory = "" if self.peak_memory_gib is None else f"  {self.peak_memory_gib:6.2f} GiB"
        return f"{self.images_per_s:9.2f} images/s  {share}{memory}  first step {self.first_step_s:.1f} s"


def measure(task: ways.Task, way: str, flops: int, seconds: float) -> StepSpeed:
    """Time one way of training for about so many seconds, after its first steps.

    Args:
        task: what is trained on what.
        way: a key of `WAYS`.
        flops: of one step; see `flops_of`.
        seconds: to spend on timing.
    """
    on_gpu = task.device == "cuda"
    wait = torch.cuda.synchronize if on_gpu else lambda: None
    _forget()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    step = WAYS[way](task)
    first, warm = _seconds(step, 1, wait), _seconds(step, 2, wait)
    steps = max(1, round(seconds / 5 / warm))
    median = statistics.median(_seconds(step, steps, wait) for _ in range(5))
    peak, tflops = peak_flops(task.device), flops / median / 1e12
    return StepSpeed(
        task.batch_size / median,
        tflops,
        None if peak is None else tflops * 1e12 / peak,
        torch.cuda.max_memory_allocated() / 2**30 if on_gpu else None,
        first,
    )


def _seconds(step: Callable[[], None], steps: int, wait: Callable[[], None]) -> float:
    """Of one step, the mean of several in a row, with the device's queue empty before and after."""
    wait()
    started = time.perf_counter()
    for _ in range(steps):
        step()
    wait()
    return (time.perf_counter() - started) / steps


def _forget() -> None:
    """Free what earlier measurements hold: networks, their memory, and what was compiled."""
    gc.collect()
    torch.compiler.reset()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def flops_of(task: ways.Task) -> int:
    """Count the floating-point operations of a step of the bare network."""
    step = ways.bare(task)
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def peak_flops(device: str) -> float | None:
    """The device's peak, if its name is known."""
    name = torch.cuda.get_device_name() if device == "cuda" else ""
    return next((peak * 1e12 for part, peak in PEAK_TFLOPS.items() if part in name), None)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_step", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frame", default="1536x1280")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--network", nargs="*", default=ways.NETWORKS)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--way", nargs="*", default=list(WAYS), choices=list(WAYS))
    options = parser.parse_args()
    height, width = map(int, options.frame.split("x"))
    torch.backends.cudnn.benchmark = True  # for every way alike
    for network in options.network:
        task = ways.Task(network, (height, width), options.batch_size, options.device)
        flops = flops_of(task)
        print(f"{network}: {flops / task.batch_size / 1e9:.1f} GFLOP an image, forward and back", flush=True)
        for way in options.way:
            print(f"  {way:18} {measure(task, way, flops, options.seconds)}", flush=True)


if __name__ == "__main__":
    main()
