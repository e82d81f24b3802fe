"""Training on one GPU: images per second of ggcam, of the same network alone, and of the original code.

python -m benchmarks.gpu_step [--frame HxW] [--batch-size N] [--network NAME ...] [--steps N] [--device cpu]

Beside them the share that ours has of the device's peak in bfloat16, and what torch.compile would add. Floating-point
operations are counted in the convolutions and matrix products of the bare network, forward and back.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
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


def seconds_a_step(step: Callable[[], None], steps: int, device: str) -> float:
    """Median over five runs of so many steps, the device's queue emptied before and after."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for _ in range(3):
        step()
    times = []
    for _ in range(5):
        wait()
        started = time.perf_counter()
        for _ in range(steps):
            step()
        wait()
        times.append((time.perf_counter() - started) / steps)
    return statistics.median(times)


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
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--way", nargs="*", default=list(WAYS), choices=list(WAYS))
    options = parser.parse_args()
    height, width = map(int, options.frame.split("x"))
    peak = peak_flops(options.device)
    torch.backends.cudnn.benchmark = True  # for every way alike
    for network in options.network:
        task = ways.Task(network, (height, width), options.batch_size, options.device)
        with FlopCounterMode(display=False) as counter:
            ways.bare(task)()
        flops = counter.get_total_flops()
        print(f"{network}: {flops / task.batch_size / 1e9:.1f} GFLOP an image, forward and back", flush=True)
        for way in options.way:
            seconds = seconds_a_step(WAYS[way](task), options.steps, options.device)
            share = f"{flops / seconds / peak:7.1%} of peak" if peak else f"{flops / seconds / 1e12:7.2f} TFLOP/s"
            print(f"  {way:18} {task.batch_size / seconds:9.2f} images/s  {share}", flush=True)
            if options.device == "cuda":
                torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
