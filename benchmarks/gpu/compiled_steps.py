"""Training steps with `--compile`: as many as there is time for."""

from __future__ import annotations

from benchmarks.gpu.measurements import Work
from benchmarks.gpu.steps import measure, tasks

NEEDED_S = 45.0
"""Seconds allowed for compiling a ResNet-50; an EfficientNetV2 takes longer, and so comes later."""


def run(work: Work) -> None:
    """Measure the tasks of `steps`."""
    for task in sorted(tasks(work), key=lambda task: "eff" in task.network):
        measure(work, task, ("ours, compiled",), 0.0 if work.tiny else NEEDED_S)
