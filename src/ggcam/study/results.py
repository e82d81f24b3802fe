"""Results of a study: metrics of every run, metrics by arm, and differences between arms with their tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from ggcam.data.parquet_files import write_parquet
from ggcam.errors import RunFolderError
from ggcam.metrics.bootstrap_statistics import WeightedStatistic, on_cases
from ggcam.metrics.classification import nan_to_none
from ggcam.metrics.intervals import RESAMPLES, Interval, bootstrap_draws, resampled_seeds
from ggcam.metrics.significance import Difference, holm, seed_test
from ggcam.report.result_schemas import SELECTED_ON_TEST
from ggcam.study.folder import StudyFolder, open_study_folder
from ggcam.study.metrics import RunMetrics, metric_rows, read_metrics
from ggcam.study.plan import Arm, PlannedRun, StudyPlan
from ggcam.utils.atomic import atomic_path
from ggcam.utils.json_files import format_json

EXPLAINED = {
    "metrics": "the metric of an arm is the mean over its runs (seeds and folds)",
    "low, high": f"95 % interval for other patients and the same runs: percentile bootstrap over patients, "
    f"{RESAMPLES:,} resamples, the same for all runs",
    "low_patients_seeds, high_patients_seeds": "95 % interval for other patients and other runs: percentile bootstrap "
    "over patients and seeds; undefined with one seed, and too narrow with few",
    "p_patients": "paired bootstrap over patients: p-value of no difference for other patients and the same runs",
    "p_seeds": "sign-flip test of the differences by seed (mean over folds): p-value of no difference for other runs",
    "holm": "adjusted (Holm) for the number of arms compared with the baseline, or of controls compared with their "
    "guidance",
}

COMPARED = ("macro_auroc", "accuracy", "auroc/*", "pointing_game/*/hit_rate", "anatomy/*/hit_rate", "shortcut/hit_rate")
COMPARED += tuple(f"gaze_agreement/{name}" for name in ("cc/cam", "nss/cam", "cc/cam_minus_shuffled_gaze"))
COMPARED += ("overlap/*/average_precision/cam", "shortcut/energy_inside/cam", "faithfulness/*/cam_minus_chance")
"""Paths in metrics.json of the metrics that arms are compared by; * stands for a class or a faithfulness metric."""

Pair = tuple[int, int, int | None]
"""Seed, fold and number of training cases of a run."""


@dataclass(frozen=True, eq=False)
class Resampled:
    """A metric of one run.

    Attributes:
        value: the metric on all test cases.
        draws: (r,) the metric on each resample of patients; NaN where it is undefined.
    """

    value: float
    draws: Float[np.ndarray, " r"]


Metrics = Mapping[tuple[Arm, Pair], Mapping[str, Resampled]]
"""Run -> metric -> its value and resamples."""


def write_results(root: Path) -> dict[str, Any]:
    """Write study.parquet and summary.json from the finished runs.

    Args:
        root: the study folder.

    Returns:
        The content of summary.json.

    Raises:
        RunFolderError: the folder is not a study, none of its runs is finished, or a run is damaged.
        MissingFileError: a file of a finished run is missing.
    """
    study, plan = open_study_folder(root)
    finished = [run for run in plan.runs if study.finished(run)]
    if not finished:
        raise RunFolderError("no run of the study is finished", where=root, hint="run the same `ggcam study` again")
    table = run_table(study, finished)
    metrics = resampled({(run.arm, run.pair): read_metrics(study.open(run)) for run in finished})
    missing = [run.name for run in plan.runs if run not in finished]
    summary = nan_to_none({**summarise(plan, metrics), "missing_runs": missing})
    with atomic_path(study.table) as table_path, atomic_path(study.summary) as summary_path:
        write_parquet(table_path, table)
        summary_path.write_text(format_json(summary), encoding="utf-8")
    return summary


def run_table(study: StudyFolder, runs: list[PlannedRun]) -> pd.DataFrame:
    """Return the metrics of runs as a table.

    Args:
        study: the study folder.
        runs: finished runs.

    Returns:
        One row per run and number in its metrics.json: run, arm, guidance, control, seed, fold, train_cases, metric,
        value, low, high.
    """
    rows: list[dict[str, Any]] = []
    for run in runs:
        seed, fold, train_cases = run.pair
        of_run = {"run": run.name, "arm": run.arm.name, "guidance": run.arm.guidance, "control": run.arm.control}
        of_run |= {"seed": seed, "fold": fold, "train_cases": train_cases}
        rows += [of_run | row for row in metric_rows(study.open(run))]
    return pd.DataFrame(rows).astype({"train_cases": "Int64"})


def resampled(
    runs: Mapping[tuple[Arm, Pair], RunMetrics], resamples: int = RESAMPLES, seed: int = 0
) -> dict[tuple[Arm, Pair], dict[str, Resampled]]:
    """Compute the compared metrics of all runs with one bootstrap over the patients of all test cases.

    Args:
        runs: arm and pair of each run -> its metrics as functions of case weights.
        resamples: number of bootstrap resamples.
        seed: random seed of the bootstrap.

    Returns:
        Arm and pair of each run -> metric -> its value and resamples.
    """
    cases = pd.concat([run.cases for run in runs.values()]).drop_duplicates("case_id")
    place = pd.Series(np.arange(len(cases)), index=cases["case_id"])
    statistics: dict[str, WeightedStatistic] = {}
    found: dict[tuple[Arm, Pair], dict[str, Resampled]] = {run: {} for run in runs}
    keys: dict[str, tuple[tuple[Arm, Pair], str]] = {}
    for number, (run, metrics) in enumerate(runs.items()):
        rows = place.loc[metrics.cases["case_id"]].to_numpy()
        for name in filter(is_compared, metrics.statistics):
            key = f"{number} {name}"
            keys[key] = (run, name)
            statistics[key] = on_cases(rows, metrics.statistics[name])
    patients = cases["patient_id"].to_numpy(np.str_)
    draws = bootstrap_draws(statistics, patients, resamples=resamples, seed=seed)
    all_cases = np.ones((len(cases), 1))
    for key, (run, name) in keys.items():
        found[run][name] = Resampled(float(statistics[key](all_cases)[0]), draws[key])
    return found


def is_compared(name: str) -> bool:
    """Return whether arms are compared by a metric; metrics of findings of one size are not compared.

    Args:
        name: path of the metric in metrics.json.
    """
    if "/by_size/" in name:
        return False
    for pattern in COMPARED:
        start, star, end = pattern.partition("*")
        if name == pattern or (star and len(name) > len(start + end) and name.startswith(start) and name.endswith(end)):
            return True
    return False


def summarise(plan: StudyPlan, metrics: Metrics) -> dict[str, Any]:
    """Return the content of summary.json.

    Args:
        plan: plan of the study.
        metrics: resampled metrics of the finished runs.

    Returns:
        The settings of the study, "arms" with their metrics, "differences" with their tests, and "notes".
    """
    sizes = plan.train_cases or (None,)
    return {
        "arms_compared": [arm.name for arm in plan.arms],
        "baseline": plan.baseline.name,
        "seeds": list(plan.seeds),
        "folds": plan.folds,
        "train_cases": list(plan.train_cases),
        **({"selected_on": "test"} if plan.base.selection == "test" else {}),
        "explained": EXPLAINED,
        "notes": _notes(plan),
        "arms": [row for size in sizes for arm in plan.arms for row in _arm_rows(metrics, arm, size)],
        "differences": [
            row for size in sizes for family in plan.comparisons for row in _difference_rows(metrics, family, size)
        ],
    }


def _notes(plan: StudyPlan) -> list[str]:
    notes: list[str] = []
    if plan.base.selection == "test":
        notes.append(SELECTED_ON_TEST)
    if len(plan.arms) == 1:
        notes.append("one arm: nothing to compare it with")
    if len(plan.seeds) == 1:
        notes.append("one seed: whether other runs would show the same difference cannot be tested; use more --seeds")
    else:
        notes += _too_few_seeds(len(plan.seeds), max(map(len, plan.comparisons), default=0))
    return notes


def _too_few_seeds(seeds: int, comparisons: int) -> list[str]:
    """Return a note if adjusted p_seeds cannot be below 0.05 even if all seeds agree: sign flips reach 2^(1-s)."""
    least = 2.0 ** (1 - seeds)
    if comparisons * least < 0.05:
        return []
    adjusted = f", or {min(1.0, comparisons * least):.2g} adjusted for {comparisons} comparisons"
    enough = next(more for more in count(seeds) if comparisons * 2.0 ** (1 - more) < 0.05)
    return [
        f"{seeds} seeds: p_seeds cannot be below {least:.2g}{adjusted if comparisons > 1 else ''}, even if all seeds "
        f"agree; with {enough} seeds it can be below 0.05"
    ]


def _runs_of(metrics: Metrics, arm: Arm, size: int | None) -> dict[Pair, Mapping[str, Resampled]]:
    return {pair: of_run for (run_arm, pair), of_run in metrics.items() if run_arm == arm and pair[2] == size}


def _arm_rows(metrics: Metrics, arm: Arm, size: int | None) -> list[dict[str, Any]]:
    runs = _runs_of(metrics, arm, size)
    rows: list[dict[str, Any]] = []
    for name in _names(runs):
        having = {pair: of_run[name] for pair, of_run in runs.items() if name in of_run}
        interval = Interval.from_draws(*_mean(list(having.values())), 0.95)
        by_seed = _by_seed({pair: found.value for pair, found in having.items()})
        rows.append(
            {"arm": arm.name, "train_cases": size, "metric": name, "runs": len(having)}
            | {"value": interval.value, "low": interval.low, "high": interval.high}
            | _with_seeds(interval.value, {pair: found.draws for pair, found in having.items()})
            | {"by_seed": by_seed}
        )
    return rows


def _difference_rows(metrics: Metrics, family: tuple[tuple[Arm, Arm], ...], size: int | None) -> list[dict[str, Any]]:
    """Return the difference of each arm and its baseline, over the runs that both have; p-values are adjusted."""
    runs = [
        (arm, baseline, _runs_of(metrics, arm, size), _runs_of(metrics, baseline, size)) for arm, baseline in family
    ]
    rows: list[dict[str, Any]] = []
    for name in dict.fromkeys(name for *_, theirs in runs for name in _names(theirs)):
        of_name: list[dict[str, Any]] = []
        for arm, baseline, ours, theirs in runs:
            both = [pair for pair in theirs if name in theirs[pair] and name in ours.get(pair, {})]
            if both:
                pairs = {pair: (ours[pair][name], theirs[pair][name]) for pair in both}
                of_name.append(
                    {"arm": arm.name, "baseline": baseline.name, "train_cases": size, "metric": name, "runs": len(both)}
                    | _difference(pairs)
                )
        for which in ("p_patients", "p_seeds"):
            for row, adjusted in zip(of_name, holm([row[which] for row in of_name]), strict=True):
                row[f"{which}_holm"] = float(adjusted)
        rows += of_name
    return rows


def _difference(pairs: Mapping[Pair, tuple[Resampled, Resampled]]) -> dict[str, Any]:
    (value, draws), (other, other_draws) = (_mean(list(side)) for side in zip(*pairs.values(), strict=True))
    found = Difference.from_draws(value - other, draws - other_draws)
    by_seed = _by_seed({pair: ours.value - theirs.value for pair, (ours, theirs) in pairs.items()})
    known = np.array([each for each in by_seed.values() if np.isfinite(each)])
    return {
        "value": found.interval.value,
        "low": found.interval.low,
        "high": found.interval.high,
        **_with_seeds(value - other, {pair: ours.draws - theirs.draws for pair, (ours, theirs) in pairs.items()}),
        "p_patients": found.p_value,
        "p_seeds": seed_test(known) if len(known) > 1 else float("nan"),
        "by_seed": by_seed,
    }


def _with_seeds(value: float, draws: Mapping[Pair, Float[np.ndarray, " r"]]) -> dict[str, float]:
    """Return the interval over patients and seeds of a mean over runs."""
    seeds = sorted({seed for seed, _, _ in draws})
    by_seed = [np.mean([drawn for pair, drawn in draws.items() if pair[0] == seed], axis=0) for seed in seeds]
    interval = Interval.from_draws(value, resampled_seeds(np.stack(by_seed)), 0.95)
    return {"low_patients_seeds": interval.low, "high_patients_seeds": interval.high}


def _mean(runs: list[Resampled]) -> tuple[float, Float[np.ndarray, " r"]]:
    return float(np.mean([run.value for run in runs])), np.mean([run.draws for run in runs], axis=0)


def _by_seed(values: Mapping[Pair, float]) -> dict[str, float]:
    """Return the mean over the folds of each seed: folds share training cases, so they are not repetitions."""
    seeds = sorted({seed for seed, _, _ in values})
    return {str(seed): float(np.mean([value for pair, value in values.items() if pair[0] == seed])) for seed in seeds}


def _names(runs: Mapping[Pair, Mapping[str, Resampled]]) -> list[str]:
    return list(dict.fromkeys(name for of_run in runs.values() for name in of_run))
