"""`ggcam study`."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import OmitArgPrefixes, arg

from ggcam.commands.arguments import Data
from ggcam.commands.study_options import StudyTraining, base_config, split_integers, split_words
from ggcam.commands.study_tables import print_study
from ggcam.commands.terminal import duration, show_progress, time_left
from ggcam.commands.train import ORIGINAL_WARNING
from ggcam.errors import ConfigError
from ggcam.utils.aliases import canonical_name
from ggcam.utils.printable import printable

if TYPE_CHECKING:
    from ggcam.study.plan import StudyPlan
    from ggcam.study.run import Outcome


def study(
    data: Data,
    guidance: str = "none,ggcam,ggcam-cc",
    seeds: int = 6,
    folds: int = 0,
    controls: bool = False,
    train_cases: str = "",
    training: OmitArgPrefixes[Annotated[StudyTraining, arg(name="")]] = StudyTraining(),  # noqa: B008
    config_file: Annotated[Path | None, arg(name="config")] = None,
    out: Path = Path("study"),
    workers: int | None = None,
    threads: int | None = None,
    ray: str | None = None,
    gpus_per_run: float | None = None,
) -> None:
    """Train several arms with several seeds and compare them.

    Example: ggcam study DATA --guidance none,ggcam-cc --backbone resnet18 --num-stages 3 --seeds 6 --controls

    All arms of a seed share the split, the initial weights and the order of the batches. If the study was interrupted,
    the same command continues it; with more arms, seeds, folds or numbers of training cases, it extends the study.

    Args:
        data: prepared folder.
        guidance: guidances to compare, separated by commas; each is an arm. ggcam-cc@boxes is guided by boxes even if
            there is gaze, and so on for the other kinds of `ggcam train --attention`.
        seeds: number of runs per arm; at least 6 to distinguish a difference between runs from chance.
        folds: number of cross-validation folds by patient; 0 keeps the split of the data.
        controls: also train with shuffled attention (also within classes), centre, lung mask and random map, each with
            the first guidance that uses attention.
        train_cases: numbers of training cases, separated by commas, for a learning curve. Default: all cases.
        training: options of each run; the seeds count up from its seed.
        config_file: TOML file with a table [train] to use instead of these options.
        out: study folder to create or to continue.
        workers: number of runs at a time on this machine. Default: one per core or GPU, fewer if the memory is short.
        threads: number of threads of each run. Default: an equal share of the cores, or 1 on a cluster.
        ray: address of a Ray cluster to run on, auto for the cluster that this machine belongs to, or local to start
            one on this machine. Default: processes on this machine, without Ray.
        gpus_per_run: number of GPUs per run on a cluster; 0.25 for four runs per GPU. Default: 1 if the cluster has
            GPUs.
    """
    from ggcam.data.prepared import load_prepared
    from ggcam.study.plan import plan_study
    from ggcam.study.study import run_study
    from ggcam.training.config import read_train_config

    if "original" in map(canonical_name, split_words(guidance)):
        logging.getLogger(__name__).warning(ORIGINAL_WARNING)
    if config_file is not None and training != StudyTraining():
        raise ConfigError("options and a config file exclude each other", where="--config")
    base = read_train_config(config_file)[1] if config_file is not None else base_config(training)
    sizes = split_integers(train_cases, "--train-cases")
    plan = plan_study(base, split_words(guidance), seeds, folds=folds, controls=controls, train_cases=sizes)
    prepared = load_prepared(data)
    with show_progress("training", "runs", lines=False) as progress:
        result = run_study(
            prepared,
            plan,
            out,
            workers=workers,
            threads=threads,
            ray=ray,
            gpus_per_run=gpus_per_run,
            on_plan=_print_plan,
            on_run=_RunPrinter(progress),
        )
    if result.reused:
        print(f"{result.reused:,} runs were finished before")
    if len(result.runs):
        print_study(result)
        print(f"study folder: {out}\nreport: {result.folder.html_report}")
    if result.failed:
        print(f"{len(result.failed):,} runs failed: {result.folder.errors}", file=sys.stderr)
        sys.exit(1)


def _print_plan(plan: StudyPlan) -> None:
    arms = ", ".join(arm.name for arm in plan.arms)
    print(f"{len(plan.runs):,} runs: arms {arms}; seeds {', '.join(map(str, plan.seeds))}", flush=True)


class _RunPrinter:
    """Prints a line when a run ends, and moves the progress bar."""

    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._started = time.monotonic()

    def __call__(self, outcome: Outcome, done: int, total: int) -> None:
        self._progress(done, total)
        start = f"run {done} of {total}: {outcome.name}"
        if outcome.error is not None:
            print(printable(f"{start} failed: {outcome.error}"), file=sys.stderr, flush=True)
            return
        auroc = f", macro AUROC {outcome.macro_auroc:.3f}" if outcome.macro_auroc is not None else ""
        left = time_left(time.monotonic() - self._started, done, total)
        print(f"{start}{auroc}, {duration(outcome.seconds)}{left}", flush=True)
