"""A study of short runs, against the same runs one after the other, and against a new process for each."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from benchmarks.raw_cases import raw_cases, repeat_cases
from benchmarks.side_by_side import Result
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.prepared import PreparedData
from ggcam.study import local
from ggcam.study.plan import StudyPlan, plan_study
from ggcam.study.study import execute_plan
from ggcam.study.validation import validate_plan
from ggcam.study.workers import choose_workers
from ggcam.training.config import TrainConfig


def run(short: bool = False) -> Iterator[Result]:
    """Time 12 runs of two epochs of a ResNet-10 on 400 cases of 128x96; processes start within the time."""
    cases, seeds, rounds, backbone = (24, 1, 1, "test_resnet") if short else (400, 6, 3, "resnet10t")
    with TemporaryDirectory() as folder:
        root = Path(folder)
        source = repeat_cases(raw_cases(root / "raw", "160x128", cases=24), cases)
        config = PrepareConfig(size="64x64" if short else "128x96", split="position")
        data = prepare_source(source, root / "data", config)
        # A fixed precision: one and two threads do the same work.
        base = TrainConfig(backbone=backbone, epochs=2, accelerator="cpu", precision="32")
        plan = validate_plan(data, plan_study(base, ["none", "ggcam-cc"], seeds))
        kept = partial(local.run_locally, workers=max(2, choose_workers(plan, data)))
        ways = {
            "processes kept": kept,
            "one after the other": partial(local.run_locally, workers=1),
            "a new process for each run": partial(_in_new_processes, kept),
        }
        rows = [[_seconds(data, plan, way, root) for way in ways.values()] for _ in range(rounds)]
        (ours_name, ours), *others = zip(ways, zip(*rows, strict=True), strict=True)
        for other_name, other in others:
            yield Result(
                f"study of {len(plan.runs)} runs, {ours_name}",
                other_name,
                statistics.median(ours) / len(plan.runs),
                statistics.median(other) / len(plan.runs),
                ratio=statistics.median(b / a for a, b in zip(ours, other, strict=True)),
                target=1.5,
            )


def _seconds(data: PreparedData, plan: StudyPlan, execute: Callable, root: Path) -> float:
    with TemporaryDirectory(dir=root) as folder:
        started = time.perf_counter()
        errors: list[str] = []
        execute_plan(data, plan, Path(folder) / "study", execute, on_run=lambda run, *_: errors.append(str(run.error)))
        seconds = time.perf_counter() - started
    if set(errors) != {"None"}:
        raise RuntimeError(f"runs failed: {errors}")
    return seconds


def _in_new_processes(execute: Callable, tasks: list) -> Iterator:
    with patch.object(local, "RUNS_PER_PROCESS", 1):
        yield from execute(tasks)
