"""The leader board: every way of using human attention, on simulated and real images, with the same tuning budget.

    python -m experiments.leaderboard OUT --raw FOLDER [--parts NAME ...] [--seeds 5] [--tables FOLDER]

FOLDER holds the real images that `experiments.real_images` describes. Per part, each method chooses one of three to
five configurations on validation cases with a seed of its own; then all methods and controls are trained with the same
seeds, and the CAMs of the test cases are compared with regions and gaze. What is missing in OUT is prepared and
trained; the same command continues an interrupted one, and more seeds extend it.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

from experiments.leaderboard_parts import CONTROLLED, CONTROLS, SEEDS, Part, parts
from experiments.leaderboard_tables import write_board
from experiments.leaderboard_tuning import tune
from ggcam.data.prepared import PreparedData
from ggcam.study.folder import StudyFolder
from ggcam.study.local import run_locally
from ggcam.study.plan import Arm
from ggcam.study.run import Outcome
from ggcam.study.study import execute_plan
from ggcam.study.validation import validate_plan


def board_arms(part: Part, data: PreparedData, tuning: Path) -> dict[str, Arm]:
    """Return the rows of a part: no guidance, each method as tuned, and the controls.

    Args:
        part: the part.
        data: its prepared data.
        tuning: table of the configurations on validation cases; extended by those that are missing.

    Returns:
        Row -> arm.
    """
    tuned = tune(part, data, tuning)
    controls = {f"{CONTROLLED}+{control}": replace(tuned[CONTROLLED], control=control) for control in CONTROLS}
    return {"none": Arm("none"), **tuned, **controls}


def complete(part: Part, data: PreparedData, arms: dict[str, Arm], seeds: int, study: Path) -> None:
    """Execute the runs of a part that are missing, and print each; exit if any failed.

    Args:
        part: the part.
        data: its prepared data.
        arms: the arms to compare.
        seeds: number of seeds.
        study: study folder.
    """
    plan = validate_plan(data, part.plan(arms.values(), range(seeds)))
    failed: list[str] = []

    def report(outcome: Outcome, done: int, total: int) -> None:
        print(f"{study.name} {done}/{total}: {outcome}", flush=True)
        if outcome.error is not None:
            failed.append(outcome.name)
        for checkpoints in StudyFolder(study).root.glob("runs/*/checkpoints"):
            shutil.rmtree(checkpoints)  # half of the size of a run, and the network is in NET.pt

    execute_plan(data, plan, study, run_locally, on_run=report)
    if failed:
        raise SystemExit(f"{len(failed)} runs failed: {StudyFolder(study).errors}")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.leaderboard",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="folder for data and studies")
    parser.add_argument("--raw", metavar="FOLDER", type=Path, required=True, help="folder with the real images")
    parser.add_argument("--parts", metavar="NAME", nargs="+", help="(default: all)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"number of runs per row (default: {SEEDS})")
    parser.add_argument("--tables", type=Path, default=Path("docs/leaderboard"), help="folder for the tables")
    options = parser.parse_args()
    known = parts(options.raw)
    for name in options.parts or known:
        if name not in known:
            parser.error(f"there is no part {name}; the parts are {', '.join(known)}")
    for name in options.parts or known:
        part = known[name]
        data = part.data(options.out, options.raw)
        tuned_on = replace(known[part.tuned_on or name], all_methods=part.all_methods)
        tuning = options.out / "tuning" / f"{part.tuned_on or name}.csv"
        arms = board_arms(tuned_on, tuned_on.data(options.out, options.raw), tuning)
        complete(part, data, arms, options.seeds, options.out / name)
        write_board(options.out / name, arms, options.tables / f"{name}.csv")
        shutil.copy(tuning, options.tables / f"{tuning.stem}-tuning.csv")


if __name__ == "__main__":
    main()
