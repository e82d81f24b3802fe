"""Time of a run outside training: start-up, metrics with intervals, pictures and the report."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.raw_cases import raw_cases, repeat_cases
from benchmarks.run_stages import FORWARD
from benchmarks.side_by_side import Result
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.evaluation.evaluate import evaluate
from ggcam.training.config import TrainConfig
from ggcam.training.train import train

LIMIT_S = 5.0
"""Processor seconds that a run of 1,000 cases may take without its forward passes."""


def run(short: bool = False) -> Iterator[Result]:
    """Time a small run: as many cases as EGD-CXR, 128x96 pixels, 25 epochs of a ResNet-10."""
    cases, epochs, backbone = (24, 1, "test_resnet") if short else (1090, 25, "resnet10t")
    with TemporaryDirectory() as folder:
        root = Path(folder)
        source = repeat_cases(raw_cases(root / "raw", "160x128", cases=24), cases)
        data = prepare_source(
            source, root / "data", PrepareConfig(size="64x64" if short else "128x96", split="position")
        )
        config = TrainConfig(backbone=backbone, output_stride=16, epochs=epochs, accelerator="cpu")
        started = time.perf_counter()
        trained = train(data, config, root, "run")
        between = time.perf_counter()
        evaluate(trained, device="cpu").save()
        training, whole = between - started, time.perf_counter() - started
        rest = _without_forward_passes(root, 24 if short else 1000)
    yield Result("a run: train, evaluate, report", "of that: training", whole, training, training / whole, target=0.95)
    name = "processor time of a run of 1,000 cases without its forward passes"
    yield Result(name, "at most", rest, LIMIT_S, LIMIT_S / rest, target=1)


def _without_forward_passes(root: Path, cases: int) -> float:
    """Return the processor seconds of a run of small images in a new process, without its forward passes."""
    source = repeat_cases(raw_cases(root / "raw", "160x128", cases=24), cases)
    prepare_source(source, root / "small", PrepareConfig(size="64x64", split="position"))
    command = [sys.executable, "-m", "benchmarks.run_stages", root / "small", root / "small_runs", "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    stages = json.loads(done.stdout.splitlines()[-1])
    return sum(stages.values()) - stages[FORWARD]
