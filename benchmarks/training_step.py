"""A training step of `ggcam train` against the original's: float32, three equal channels, a loop over the cases."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import training_ways as ways
from benchmarks.side_by_side import Result, race


def run(short: bool = False) -> Iterator[Result]:
    """Forward, backward and optimizer for a batch of 2 at the original's 1536x1280."""
    frame, networks, rounds = ((64, 64), ("released-resnet-18",), 1) if short else ((1536, 1280), ways.NETWORKS, 3)
    for network in networks:
        task = ways.Task(network, frame, batch_size=2)
        name = f"training step, {network}, {frame[0]}x{frame[1]}"
        original = ways.originals(task)
        yield race(name, ways.ours(task), "as the original", original, cases=2, rounds=rounds, target=3)
        quick = ways.ours(task, compiled=True)
        yield race(f"{name}, --compile", quick, "as the original", original, cases=2, rounds=rounds, target=3)
