"""The studies of docs/evidence.md on simulated data: whether guidance helps, where, and with which certainty.

    python -m experiments.evidence OUT [--parts NAME ...] [--arms NAME ...] [--workers 2] [--tables FOLDER]

Simulates, prepares and trains everything that is missing in OUT, part by part, and writes the tables of each part to
FOLDER. The same command continues an interrupted one, and adds arms or seeds to a smaller one. The settings were chosen
on another simulated data set (seed 100).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.raw_cases import prepared_cases

from ggcam.data.prepared import PreparedData
from ggcam.data.view_config import Control
from ggcam.simulation.config import SimulationConfig
from ggcam.study.plan import Arm, StudyPlan
from ggcam.study.study import StudyResult, run_study
from ggcam.training.config import TrainConfig

CASES, TRAIN_CASES = 1090, 763
"""763 cases are for training, 108 for validation and 219 for testing, split by patient."""

SIZE = "128x96"

NONE, GGCAM, CORRELATION, ORIGINAL = (Arm(name) for name in ("none", "ggcam", "ggcam-cc", "original"))
CONTROLS: tuple[Control, ...] = ("shuffled-gaze", "centre", "lung-mask", "random-map")
ARMS = (NONE, CORRELATION, GGCAM, ORIGINAL, *(Arm("ggcam-cc", control) for control in CONTROLS))
SHUFFLED = Arm("ggcam-cc", "shuffled-gaze")

RESNET = TrainConfig(backbone="resnet18", num_stages=3)
EFFNET = TrainConfig(backbone="tf_efficientnetv2_s", num_stages=3)
PVT = TrainConfig(backbone="pvt_v2_b0", num_stages=2, lr=5e-4)
"""A CNN of another family, and a vision transformer (Pyramid ViT v2), up to the stage with cells of 8 pixels."""


@dataclass(frozen=True)
class Part:
    """One of the studies.

    Attributes:
        base: training config of each run.
        shortcut: probability that a training or validation image bears the marker of its class.
        arms: arms to compare.
        seeds: number of runs per arm.
        train_cases: numbers of training cases of the learning curve.
    """

    base: TrainConfig
    shortcut: float = 0.8
    arms: tuple[Arm, ...] = ARMS
    seeds: int = 6
    train_cases: tuple[int, ...] = ()

    def with_same_steps(self, cases: int) -> Part:
        """Return the part with this number of training cases, and as many steps as with all of them."""
        epochs = round(self.base.epochs * TRAIN_CASES / cases)
        return replace(self, base=replace(self.base, epochs=epochs), train_cases=(cases,))


SMALL = Part(RESNET, arms=(NONE, CORRELATION, SHUFFLED), train_cases=(100, 200, 400))
"""Fewer cases with the same epochs also mean fewer steps; the parts `curve-100` and so on have the same steps."""

PARTS = {
    "resnet18-shortcut": Part(RESNET),
    "resnet18": Part(RESNET, shortcut=0.0),
    "curve": SMALL,
    **{f"curve-{cases}": SMALL.with_same_steps(cases) for cases in SMALL.train_cases},
    "pvt-shortcut": Part(PVT, seeds=5),
    "effnet-shortcut": Part(EFFNET, seeds=5),
    "pvt": Part(PVT, shortcut=0.0, seeds=5),
    "effnet": Part(EFFNET, shortcut=0.0, seeds=5),
}


def prepared(out: Path, shortcut: float) -> PreparedData:
    """Load the simulated data of a part; create them if they do not exist."""
    raw, data = out / f"raw-shortcut{shortcut}", out / f"data-shortcut{shortcut}-{SIZE}"
    return prepared_cases(raw, data, SimulationConfig(cases=CASES, shortcut=shortcut), SIZE)


def study(out: Path, name: str, part: Part, workers: int) -> StudyResult:
    """Execute the runs of a part that are missing, and return its results."""
    plan = StudyPlan(part.base, part.arms, tuple(range(part.seeds)), train_cases=part.train_cases)
    return complete(prepared(out, part.shortcut), plan, out / name, workers)


def complete(data: PreparedData, plan: StudyPlan, folder: Path, workers: int) -> StudyResult:
    """Execute the runs of a plan that are missing, print each, and return the results; exit if any failed."""
    result = run_study(data, plan, folder, workers=workers, on_run=lambda outcome, *_: print(outcome, flush=True))
    if result.failed:
        raise SystemExit(f"{len(result.failed)} runs failed: {result.folder.errors}")
    return result


def write_tables(result: StudyResult, folder: Path, name: str) -> None:
    """Write the metrics by arm and the differences with their tests as CSV files."""
    for kind, table in (("arms", result.summary), ("differences", result.differences)):
        table.drop(columns="by_seed").round(4).to_csv(folder / f"{name}-{kind}.csv", index=False)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.evidence", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="folder for data and studies")
    parser.add_argument("--parts", metavar="NAME", nargs="+", choices=PARTS, default=list(PARTS), help="(default: all)")
    parser.add_argument("--arms", nargs="+", metavar="NAME", choices=[arm.name for arm in ARMS], help="(default: all)")
    parser.add_argument("--seeds", type=int, help="number of runs per arm (default: that of the part)")
    parser.add_argument("--workers", type=int, default=2, help="number of runs at a time (default: 2)")
    parser.add_argument("--tables", type=Path, default=Path("docs/evidence"), help="folder for the tables")
    options = parser.parse_args()
    options.tables.mkdir(parents=True, exist_ok=True)
    for name in options.parts:
        part = PARTS[name]
        arms = tuple(arm for arm in part.arms if options.arms is None or arm.name in options.arms)
        part = replace(part, arms=arms, seeds=options.seeds or part.seeds)
        write_tables(study(options.out, name, part, options.workers), options.tables, name)


if __name__ == "__main__":
    main()
