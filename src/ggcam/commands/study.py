"""`ggcam study`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import OmitArgPrefixes, arg

from ggcam.commands.arguments import Data
from ggcam.commands.study_options import StudyTraining, base_config, numbers, words
from ggcam.commands.terminal import print_table
from ggcam.commands.train import ORIGINAL_WARNING, silence_lightning
from ggcam.errors import ConfigError


def study(
    data: Data,
    guidance: str = "none,ggcam,ggcam-cc",
    seeds: int = 6,
    folds: int = 0,
    controls: bool = False,
    train_cases: str = "",
    training: OmitArgPrefixes[StudyTraining] = StudyTraining(),  # noqa: B008
    config_file: Annotated[Path | None, arg(name="config")] = None,
    out: Path = Path("study"),
    workers: int = 1,
    threads: int | None = None,
    ray: str | None = None,
    gpus_per_run: float | None = None,
) -> None:
    """Does guidance help, and how surely? Train several arms with several seeds, and test their differences.

    Example: ggcam study DATA --guidance none,ggcam-cc --backbone resnet18 --num-stages 3 --seeds 6 --controls

    All arms of a seed share split, first weights and order of batches. A second call after an interruption keeps what
    is finished, and one that asks for more arms, seeds, folds or training cases adds them.

    Args:
        data: the prepared folder.
        guidance: the arms, with commas.
        seeds: trainings of each arm; at least 6 to be able to tell a difference between trainings from chance.
        folds: of a cross-validation by patient; 0 keeps the split of the data.
        controls: train also with shuffled gaze, centre, lung mask and random map in the place of gaze, under the first
            guidance that looks at gaze.
        train_cases: numbers of training cases, with commas, for a curve; all of them when left out.
        training: how to train; the seeds count from this one.
        config_file: a TOML file with a table [train] in place of these flags.
        out: the study folder to make, or to go on with.
        workers: runs at a time on this machine.
        threads: cores for each run; its share of this machine, or 1 on a cluster.
        ray: address of a Ray cluster to run on, or auto for the one that this machine is part of.
        gpus_per_run: on a cluster, such as 0.25 for four runs on a GPU; 1 where there are any.
    """
    from ggcam.data.prepared import load_prepared
    from ggcam.study.cluster import run_on_ray
    from ggcam.study.local import run_locally
    from ggcam.study.page import write_study_page
    from ggcam.study.plan import plan_study
    from ggcam.study.results import write_results
    from ggcam.study.run import Outcome
    from ggcam.study.study import run_study, validate_plan
    from ggcam.training.config import read_train_config

    silence_lightning()
    if "original" in words(guidance):
        logging.getLogger(__name__).warning(ORIGINAL_WARNING)
    if ray is not None and workers != 1:
        raise ConfigError("--workers are of this machine, --ray is another place to run", where="--workers")
    if gpus_per_run is not None and ray is None:
        raise ConfigError("shares of a GPU are for a Ray cluster", where="--gpus-per-run", hint="choose --workers")
    for name, value in (("--workers", workers), ("--threads", threads)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} cannot be {value}", where=name, expected="1 or more")
    if config_file is not None and training != StudyTraining():
        raise ConfigError("flags and a config file exclude each other", where="--config")
    base = read_train_config(config_file)[1] if config_file is not None else base_config(training)
    plan = plan_study(base, words(guidance), seeds, folds, controls, numbers(train_cases, "--train-cases"))
    prepared = load_prepared(data)
    plan = validate_plan(prepared, plan)
    done = 0

    def say(outcome: Outcome) -> None:
        nonlocal done
        done += 1
        if outcome.error is None:
            print(f"{done}: {outcome.name}, {outcome.seconds:.0f} s", flush=True)
        else:
            print(f"{done}: {outcome.name} failed: {outcome.error}", file=sys.stderr, flush=True)

    print(f"{len(plan.runs):,} runs: {', '.join(arm.name for arm in plan.arms)}; seeds: {seeds}")
    if ray is not None:
        executor = partial(run_on_ray, address=ray, gpus_per_run=gpus_per_run)
    else:
        executor = partial(run_locally, workers=workers)
    result = run_study(prepared, plan, out, executor, threads, silence_lightning, say)
    if result.kept:
        print(f"{result.kept:,} runs were there already")
    if len(result.failed) < len(plan.runs):
        _print_summary(write_results(out))
        print(f"study folder: {out}")
        print(f"page: {write_study_page(out)}")
    if result.failed:
        print(f"{len(result.failed):,} runs failed: {result.folder.errors}", file=sys.stderr)
        sys.exit(1)


def _print_summary(summary: Mapping[str, Any]) -> None:
    """Two tables a metric: what each arm reaches, and how the arms differ."""
    arms, differences = _by_metric(summary["arms"]), _by_metric(summary["differences"])
    shown = _shown({metric for metric, _ in arms})
    for (metric, size), rows in arms.items():
        if metric not in shown:
            continue
        name = metric if size is None else f"{metric}, {size:,} training cases"
        print_table(
            [name, "mean over runs [95 %]", "runs"], [[row["arm"], _interval(row), str(row["runs"])] for row in rows]
        )
        held = [
            [
                f"{row['arm']} - {row['baseline']}",
                _interval(row, "+"),
                *(_number(row[name]) for name in ("p_patients_holm", "p_seeds_holm")),
            ]
            for row in differences.get((metric, size), [])
        ]
        if held:
            print_table([name, "difference [95 %]", "p patients", "p seeds"], held)
    if differences:
        print("interval: for other patients and, with several seeds, other trainings; p patients: for other patients;")
        print("p seeds: for other trainings; both adjusted (Holm)")
    for note in summary["notes"]:
        print(f"note: {note}")
    if summary["missing_runs"]:
        print(f"note: {len(summary['missing_runs']):,} runs are missing; where one lacks, its pair is left out")


def _by_metric(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int | None], list[Mapping[str, Any]]]:
    """Rows of the summary by metric and number of training cases."""
    found: dict[tuple[str, int | None], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["metric"], row["train_cases"]), []).append(row)
    return found


def _shown(metrics: set[str]) -> set[str]:
    """Few enough for a terminal; summary.json and the page have them all."""
    from ggcam.report.study_tables import is_main

    main = set(filter(is_main, metrics))
    of_findings = {metric for metric in main if metric.startswith("pointing_game/")}
    return main - of_findings if len(of_findings) > 3 else main


def _interval(row: Mapping[str, Any], sign: str = "") -> str:
    """A metric with the interval to quote; alone where it has none."""
    from ggcam.report.study_tables import quoted_ends

    low, high = quoted_ends(row)
    value = _number(row["value"], sign)
    return value if low is None else f"{value} [{_number(low, sign)}, {_number(high, sign)}]"


def _number(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.3f}"
