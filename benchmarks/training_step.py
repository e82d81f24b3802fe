"""A training step of `ggcam train`, against the original: float32, three equal channels, a loop over the cases."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import training_ways as ways
from benchmarks.side_by_side import Result, race


def run(short: bool = False) -> Iterator[Result]:
    """Time forward pass, backward pass and optimizer for a batch of 2 at the original size, 1536x1280."""
    frame, networks, rounds = ((64, 64), ("original-resnet-18",), 1) if short else ((1536, 1280), ways.NETWORKS, 3)
    for network in networks:
        for compile_network in (False, True):
            yield _compare_with_original(ways.Task(network, frame, batch_size=2), compile_network, rounds)


def _compare_with_original(task: ways.Task, compile_network: bool, rounds: int) -> Result:
    """Run one comparison; a function, so that the 10 GB of both implementations are freed at its end."""
    name = f"training step, {task.network}, {task.frame[0]}x{task.frame[1]}{', --compile' * compile_network}"
    ours, original = ways.ours(task, compile_network=compile_network), ways.originals(task)
    return race(name, ours, "as the original", original, cases=task.batch_size, rounds=rounds, target=3)
