"""Choice of each method's configuration on validation cases, with a seed of its own."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.leaderboard_parts import Part, matches
from ggcam.data.prepared import PreparedData
from ggcam.evaluation.evaluate import evaluate
from ggcam.evaluation.run_metrics import leaves
from ggcam.study.plan import Arm
from ggcam.training.train import train

TUNING_SEED = 100

MOST_STEPS = 2
"""Most configurations that are tried beyond the first three."""


def tune(part: Part, data: PreparedData, table: Path) -> dict[str, Arm]:
    """Choose the configuration of each method by macro AUROC plus place on the validation split.

    Each method is trained with the three configurations in the middle of its row. If the best one lies at an end, the
    next one in that direction is tried, up to twice. Finished configurations are read from the table.

    Args:
        part: the part.
        data: its prepared data.
        table: CSV file with the validation metrics of each configuration; extended.

    Returns:
        Row of the board -> chosen configuration.
    """
    table.parent.mkdir(parents=True, exist_ok=True)
    scores = read_scores(table)
    for row, arms in part.methods.items():
        while (arm := next_to_try(arms, scores.get(row, {}))) is not None:
            auroc, place = _validate(part, data, arm, table.parent / f"{table.stem}-run")
            of_arm = pd.DataFrame([{"row": row, "arm": arm.name, "macro_auroc": auroc, "place": place}])
            of_arm.to_csv(table, mode="a", header=not table.is_file(), index=False)
            print(f"{table.stem}: {arm.name}: AUROC {auroc:.3f}, place {place:.3f}", flush=True)
            scores.setdefault(row, {})[arm.name] = auroc + place
    return {row: max(arms, key=lambda arm: scores[row].get(arm.name, -np.inf)) for row, arms in part.methods.items()}


def read_scores(table: Path) -> dict[str, dict[str, float]]:
    """Read the finished configurations.

    Args:
        table: CSV file: row, arm, macro_auroc, place; it need not exist.

    Returns:
        Row of the board -> name of the configuration -> macro AUROC plus place.
    """
    scores: dict[str, dict[str, float]] = {}
    for each in pd.read_csv(table).to_dict("records") if table.is_file() else []:
        scores.setdefault(each["row"], {})[each["arm"]] = each["macro_auroc"] + each["place"]
    return scores


def next_to_try(arms: tuple[Arm, ...], scores: Mapping[str, float]) -> Arm | None:
    """Return the configuration to train next.

    Args:
        arms: configurations of a method, in order.
        scores: name of each finished configuration -> its score.

    Returns:
        The configuration; None when there is nothing more to try.
    """
    low, high = len(arms) // 2 - 1, len(arms) // 2 + 1
    for _ in range(MOST_STEPS + 1):
        for arm in arms[low : high + 1]:
            if arm.name not in scores:
                return arm
        best = max(range(low, high + 1), key=lambda place: scores[arms[place].name])
        if best == low and low > 0:
            low -= 1
        elif best == high and high < len(arms) - 1:
            high += 1
        else:
            return None
    return None


def _validate(part: Part, data: PreparedData, arm: Arm, folder: Path) -> tuple[float, float]:
    """Train a configuration, and return its macro AUROC and place on the validation split."""
    (run,) = part.plan([arm], [TUNING_SEED]).runs
    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted command left
    try:
        trained = train(data, replace(run.config, calibration=False), folder, arm.guidance)
        values = dict(leaves(evaluate(trained, data, "valid").metrics))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    place = [values[path] for path in values if matches(path, f"{part.place}/value")]
    return float(values["macro_auroc/value"]), float(np.nanmean(np.array(place, float)))
