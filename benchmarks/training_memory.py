"""Peak memory of a training step with each implementation, each in a new process.

python -m benchmarks.training_memory [--frame HxW] [--batch-size N] [--network NAME ...]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from resource import RUSAGE_SELF, getrusage

from benchmarks import training_ways as ways
from benchmarks.fresh_process import call_in_new_process

WAYS: dict[str, Callable[[ways.Task], Callable[[], None]]] = {
    "as the original": ways.originals,
    "ours": ways.ours,
    "ours, --checkpointing": partial(ways.ours, checkpointing=True),
}


def peak_bytes(way: str, task: ways.Task) -> int:
    """Return the peak resident memory of two steps, minus that before the network was created."""
    unit = 1 if sys.platform == "darwin" else 1024
    before = getrusage(RUSAGE_SELF).ru_maxrss
    step = WAYS[way](task)
    for _ in range(2):
        step()
    return (getrusage(RUSAGE_SELF).ru_maxrss - before) * unit


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training_memory", description=__doc__)
    parser.add_argument("--frame", default="1536x1280")
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--network", nargs="*", default=ways.NETWORKS)
    options = parser.parse_args()
    height, width = map(int, options.frame.split("x"))
    for network in options.network:
        task = ways.Task(network, (height, width), options.batch_size)
        first = 0
        for way in WAYS:
            peak = call_in_new_process(peak_bytes, way, task)
            first = first or peak
            print(f"{network:22} {way:24} {peak / 2**30:7.2f} GiB   {peak / first:6.1%}", flush=True)


if __name__ == "__main__":
    main()
