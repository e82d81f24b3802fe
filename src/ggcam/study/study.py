"""Run a study, and read its results as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.errors import ConfigError
from ggcam.study.cluster import run_on_ray
from ggcam.study.folder import StudyFolder, locked_study, open_study_folder
from ggcam.study.local import run_locally
from ggcam.study.page import write_study_page
from ggcam.study.plan import StudyPlan
from ggcam.study.precision import with_shared_precision
from ggcam.study.result_files import read_errors, read_summary, read_table
from ggcam.study.results import write_results
from ggcam.study.run import Outcome, Task
from ggcam.study.validation import validate_plan
from ggcam.study.workers import choose_workers
from ggcam.utils.json_files import write_json

Executor = Callable[[Sequence[Task]], Iterator[Outcome]]
"""Executes runs and yields their outcomes: `local.run_locally` or `cluster.run_on_ray`."""

OnRun = Callable[[Outcome, int, int], None]
"""Called when a run ends, with its outcome, the number of runs that have ended, and the number of runs to execute."""


@dataclass(frozen=True, eq=False)
class StudyResult:
    """Results of a study as tables.

    Attributes:
        folder: the study folder.
        plan: the plan of the study.
        runs: one row per finished run and metric: run, arm, guidance, control, seed, fold, train_cases, metric, value,
            low, high.
        summary: one row per arm, number of training cases and metric: the mean over the runs, with its intervals.
        differences: one row per pair of arm and baseline, number of training cases and metric: the difference, with
            its intervals and p-values.
        notes: remarks on what the study cannot show, such as too few seeds.
        failed: name of each run that failed in the last call -> its error.
        reused: number of runs that were finished before.

    Example:
        >>> import ggcam
        >>> result = ggcam.open_study("study")                              # doctest: +SKIP
        >>> result.summary.query("metric == 'macro_auroc'")[["arm", "value"]]  # doctest: +SKIP
    """

    folder: StudyFolder
    plan: StudyPlan
    runs: pd.DataFrame
    summary: pd.DataFrame
    differences: pd.DataFrame
    notes: tuple[str, ...]
    failed: Mapping[str, str]
    reused: int = 0

    @property
    def missing(self) -> int:
        """Number of runs of the plan that are not finished."""
        return sum(not self.folder.finished(run) for run in self.plan.runs)


def run_study(
    data: PreparedData | str | Path,
    plan: StudyPlan,
    out: str | Path = "study",
    *,
    workers: int | None = 1,
    threads: int | None = None,
    ray: str | None = None,
    gpus_per_run: float | None = None,
    on_plan: Callable[[StudyPlan], None] = lambda _: None,
    on_run: OnRun = lambda *_: None,
) -> StudyResult:
    """Train and evaluate all runs of a plan, and compare its arms.

    Finished runs in the study folder are kept, so that an interrupted study continues, and a study can be extended by
    a plan with more arms, seeds, folds or numbers of training cases. A run that fails does not stop the others.

    Args:
        data: prepared folder, or its path.
        plan: runs to execute, from :func:`ggcam.plan_study`.
        out: study folder to create or to continue.
        workers: number of runs at a time on this machine; None for one per core or GPU, fewer if the memory is short.
            More than one use processes that import your script again: protect its entry point by
            `if __name__ == "__main__":`.
        threads: number of threads of each run. Default: an equal share of the cores, or 1 on a cluster.
        ray: address of a Ray cluster to run on, "auto" for the cluster that this machine belongs to, or "local" to
            start one on this machine. Default: processes on this machine, without Ray.
        gpus_per_run: number of GPUs per run on a cluster, or a fraction of one. Default: 1 if the cluster has GPUs.
        on_plan: called with the plan after it has been checked, before the first run.
        on_run: called when a run ends; see :data:`OnRun`.

    Returns:
        The results of all finished runs, as tables.

    Raises:
        ConfigError: the plan does not fit the data, or an option is out of its range.
        RunFolderError: `out` holds something else or another study.
        BusyError: another process is running that study.

    Example:
        >>> import ggcam
        >>> plan = ggcam.plan_study(ggcam.TrainConfig(epochs=10), ["none", "ggcam-cc"], seeds=6)
        >>> result = ggcam.run_study("DATA", plan, out="study")   # doctest: +SKIP
        >>> result.differences.query("metric == 'macro_auroc'")   # doctest: +SKIP
    """
    _check_options(workers, threads, ray, gpus_per_run)
    if not isinstance(data, PreparedData):
        data = load_prepared(Path(data))
    plan = validate_plan(data, plan)
    workers = workers or choose_workers(plan, data, threads)
    plan = with_shared_precision(data, plan, StudyFolder(Path(out)))
    on_plan(plan)
    execute: Executor = partial(run_locally, workers=workers)
    if ray is not None:
        execute = partial(run_on_ray, address=ray, gpus_per_run=gpus_per_run)
    reused = execute_plan(data, plan, Path(out), execute, threads, on_run)
    folder = StudyFolder(Path(out))
    if any(folder.finished(run) for run in plan.runs):
        write_results(folder.root)
        write_study_page(folder.root, data=data.root)
    return _read_result(folder, plan, reused)


def open_study(root: str | Path) -> StudyResult:
    """Read the results of a study.

    Args:
        root: the study folder.

    Returns:
        The results, as tables; empty ones if no run is finished.

    Raises:
        RunFolderError: the folder does not exist, is not a study, or is damaged.
    """
    folder, plan = open_study_folder(Path(root))
    return _read_result(folder, plan, sum(folder.finished(run) for run in plan.runs))


def execute_plan(
    data: PreparedData,
    plan: StudyPlan,
    out: Path,
    execute: Executor,
    threads: int | None = None,
    on_run: OnRun = lambda *_: None,
) -> int:
    """Execute the runs of a plan that are not finished, and write errors.json.

    Args:
        data: the prepared folder.
        plan: a plan that `validate_plan` has checked.
        out: study folder to create or to continue.
        execute: executes the runs.
        threads: number of threads of each run.
        on_run: called when a run ends.

    Returns:
        The number of runs that were finished before.

    Raises:
        RunFolderError: `out` holds something else or another study.
        BusyError: another process is running that study.
    """
    with locked_study(out, plan, data) as study:
        missing = [run for run in plan.runs if not study.finished(run)]
        tasks = [Task(data.root.resolve(), study.root.resolve(), run, threads) for run in missing]
        failed: dict[str, str] = {}
        write_json(study.errors, failed)
        for done, outcome in enumerate(execute(tasks) if tasks else (), start=1):
            if outcome.error is not None:
                failed[outcome.name] = outcome.error
                write_json(study.errors, failed)
            on_run(outcome, done, len(tasks))
    return len(plan.runs) - len(missing)


def _check_options(workers: int | None, threads: int | None, ray: str | None, gpus_per_run: float | None) -> None:
    if ray is not None and workers not in (None, 1):
        raise ConfigError(
            "--workers is for this machine, --ray for a cluster", where="--workers", hint="use one of them"
        )
    if gpus_per_run is not None and ray is None:
        raise ConfigError("--gpus-per-run is for a Ray cluster", where="--gpus-per-run", hint="use --workers instead")
    for name, value in (("--workers", workers), ("--threads", threads)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} cannot be {value}", where=name, expected="1 or more")


def _read_result(folder: StudyFolder, plan: StudyPlan, reused: int) -> StudyResult:
    failed = read_errors(folder)
    if not folder.summary.is_file():
        return StudyResult(folder, plan, pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), (), failed, reused)
    summary = read_summary(folder)
    return StudyResult(
        folder,
        plan,
        read_table(folder),
        _table(summary["arms"]),
        _table(summary["differences"]),
        tuple(summary["notes"]),
        failed,
        reused,
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows of summary.json as a table, undefined numbers as NaN."""
    table = pd.DataFrame(list(rows))
    text = {"arm", "baseline", "metric", "by_seed"}
    types = {name: "float64" for name in table.columns if name not in text}
    return table.astype(types | {name: "Int64" for name in ("train_cases", "runs") if name in table.columns})
