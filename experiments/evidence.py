"""The study of docs/evidence.md: does guidance help, where, and how surely, on simulated data?

    python -m experiments.evidence OUT [--parts NAME ...] [--arms NAME ...] [--workers 2] [--tables FOLDER]

simulates, prepares and trains what is not there yet under OUT, part by part, and writes each part's tables to FOLDER. A
call that is interrupted goes on where it stopped, and one with fewer arms or seeds can be followed by one with all. The
settings were chosen on another simulated data set (seed 100).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from benchmarks.raw_cases import prepared_cases

from ggcam.data.prepared import PreparedData
from ggcam.simulation.config import SimulationConfig
from ggcam.study.local import run_locally
from ggcam.study.plan import CONTROLS, Arm, StudyPlan
from ggcam.study.results import write_results
from ggcam.study.study import run_study
from ggcam.training.config import TrainConfig

CASES, TRAIN_CASES = 1090, 763
"""Of all cases 763 are for training, 108 for validation and 219 for the test, patients apart."""

SIZE = "128x96"

NONE, GGCAM, CORRELATION, RELEASED = (Arm(name) for name in ("none", "ggcam", "ggcam-cc", "original"))
ARMS = (NONE, CORRELATION, GGCAM, RELEASED, *(Arm("ggcam-cc", control) for control in CONTROLS))
SHUFFLED = Arm("ggcam-cc", "shuffled-gaze")

RESNET = TrainConfig(backbone="resnet18", num_stages=3)
EFFNET = TrainConfig(backbone="tf_efficientnetv2_s", num_stages=3)
PVT = TrainConfig(backbone="pvt_v2_b0", num_stages=2, lr=5e-4)
"""A CNN of another family, and a vision transformer (Pyramid ViT v2), to the stage whose cells measure 8 pixels."""


@dataclass(frozen=True)
class Part:
    """A study of its own.

    Attributes:
        base: how each run trains.
        shortcut: how often the marker in a training or validation image is the one of its class.
        arms: what is compared.
        seeds: how many trainings of each arm.
        train_cases: of the small-data curve.
    """

    base: TrainConfig
    shortcut: float = 0.8
    arms: tuple[Arm, ...] = ARMS
    seeds: int = 6
    train_cases: tuple[int, ...] = ()

    def as_long_with(self, cases: int) -> Part:
        """The part with so many cases alone, and as many steps as all of them give."""
        epochs = round(self.base.epochs * TRAIN_CASES / cases)
        return replace(self, base=replace(self.base, epochs=epochs), train_cases=(cases,))


SMALL = Part(RESNET, arms=(NONE, CORRELATION, SHUFFLED), train_cases=(100, 200, 400))
"""Fewer cases at the same number of epochs are also fewer steps; the parts `curve-100` and so on take as many steps."""

PARTS = {
    "resnet18-shortcut": Part(RESNET),
    "resnet18": Part(RESNET, shortcut=0.0),
    "curve": SMALL,
    **{f"curve-{cases}": SMALL.as_long_with(cases) for cases in SMALL.train_cases},
    "pvt-shortcut": Part(PVT, seeds=5),
    "effnet-shortcut": Part(EFFNET, seeds=5),
    "pvt": Part(PVT, shortcut=0.0, seeds=5),
    "effnet": Part(EFFNET, shortcut=0.0, seeds=5),
}


def prepared(out: Path, shortcut: float) -> PreparedData:
    """The simulated data of a part, made if they are not there."""
    raw, data = out / f"raw-shortcut{shortcut}", out / f"data-shortcut{shortcut}-{SIZE}"
    return prepared_cases(raw, data, SimulationConfig(cases=CASES, shortcut=shortcut), SIZE)


def study(out: Path, name: str, part: Part, workers: int) -> dict[str, Any]:
    """Carry out a part, or what is missing of it; its summary."""
    plan = StudyPlan(part.base, part.arms, tuple(range(part.seeds)), train_cases=part.train_cases)
    data = prepared(out, part.shortcut)
    root = out / name
    executor = partial(run_locally, workers=workers)
    result = run_study(data, plan, root, executor, on_outcome=print)
    if result.failed:
        raise SystemExit(f"{len(result.failed)} runs failed: {result.folder.errors}")
    return write_results(root)


def write_tables(summary: dict[str, Any], folder: Path, name: str) -> None:
    """Every metric by arm, and every difference with its tests, as CSV."""
    for table in ("arms", "differences"):
        rows = pd.DataFrame(summary[table]).drop(columns="by_seed")
        rows.round(4).to_csv(folder / f"{name}-{table}.csv", index=False)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.evidence", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--arms", nargs="+", choices=[arm.name for arm in ARMS], help="these alone")
    parser.add_argument("--seeds", type=int, help="so many alone")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--tables", type=Path, default=Path("docs/evidence"))
    given = parser.parse_args()
    given.tables.mkdir(parents=True, exist_ok=True)
    for name in given.parts:
        part = PARTS[name]
        arms = tuple(arm for arm in part.arms if given.arms is None or arm.name in given.arms)
        part = replace(part, arms=arms, seeds=given.seeds or part.seeds)
        write_tables(study(given.out, name, part, given.workers), given.tables, name)


if __name__ == "__main__":
    main()
