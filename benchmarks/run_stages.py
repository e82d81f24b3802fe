"""Processor time by stage of a `ggcam train` in this process: `python -m benchmarks.run_stages DATA OUT [--json]`.

What is measured starts with Python itself. A stage is without the stages inside it.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

FORWARD = "forward and backward passes"
"""Stage of everything that grows with the network: training steps, validation, calibration, evaluation."""


class Stages:
    """Processor time by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inside: list[float] = []

    def watch(self, owner: Any, name: str, stage: str) -> None:
        """Replace a function of a module or class by one that adds its time to a stage."""
        function: Callable[..., Any] = getattr(owner, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            started = time.process_time()
            self._inside.append(0.0)
            try:
                return function(*arguments, **options)
            finally:
                seconds = time.process_time() - started
                self.seconds[stage] += seconds - self._inside.pop()
                if self._inside:
                    self._inside[-1] += seconds

        setattr(owner, name, watched)


def main(data: str, out: str) -> dict[str, float]:
    """Train a tiny network for one epoch, evaluate it, and return the seconds of each stage."""
    from ggcam.cli import main as ggcam
    from ggcam.utils.collector import collector_paused

    with collector_paused():  # as the command itself does
        from ggcam.data import prepared
        from ggcam.evaluation import evaluate
        from ggcam.training import finish, train
        from ggcam.training.lightning_module import GuidedTraining
    stages = Stages()
    stages.seconds["start of Python and imports"] = time.process_time()
    for owner, name, stage in (
        (GuidedTraining, "optimizer_step", FORWARD),
        (GuidedTraining, "validation_step", FORWARD),
        (train, "with_measured_precision", FORWARD),
        (finish, "network_outputs", FORWARD),
        (evaluate.BatchPredictor, "__call__", FORWARD),
        (prepared, "load_prepared", "reading the tables"),
        (train, "fit", "Lightning, batches, checkpoints"),
        (train, "save_training_plot", "plot of the training"),
        (finish, "calibrate", "calibration, typicality"),
        (finish, "fit_typicality", "calibration, typicality"),
        (evaluate, "measure", "metrics and intervals"),
        (evaluate, "calibration_metrics", "metrics and intervals"),
        (evaluate, "read_results", "page: charts, gallery, data card"),
        (evaluate, "write_run_report", "page: HTML"),
    ):
        stages.watch(owner, name, stage)
    command = ["train", data, "--out", out, "--backbone", "test_resnet", "--epochs", "1", "--accelerator", "cpu"]
    ggcam(command)
    stages.seconds["everything else"] = time.process_time() - sum(stages.seconds.values())
    return dict(stages.seconds)


if __name__ == "__main__":
    found = main(*sys.argv[1:3])
    if "--json" in sys.argv:
        print(json.dumps(found))
    else:
        for stage, seconds in sorted(found.items(), key=lambda each: -each[1]):
            print(f"{seconds:6.2f} s  {stage}")
        print(f"{sum(found.values()) - found[FORWARD]:6.2f} s  all but {FORWARD}")
