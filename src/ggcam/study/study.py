"""Carry out a study: check it before anything is trained, do the runs that are not there yet, report failures."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ggcam.data.case import SPLITS
from ggcam.data.prepared import PreparedData, label_matrix
from ggcam.data.view_config import ViewConfig
from ggcam.data.views import apply_view
from ggcam.errors import ConfigError
from ggcam.guidance import create_guidance
from ggcam.run_folder import write_json
from ggcam.study.folder import StudyFolder, begun_study
from ggcam.study.plan import UNGUIDED, Arm, StudyPlan
from ggcam.study.run import Outcome, Task
from ggcam.training.model_spec import ModelSpec

log = logging.getLogger(__name__)

Executor = Callable[[Sequence[Task]], Iterator[Outcome]]
"""Carries out runs, wherever: `local.run_locally` or `cluster.run_on_ray`."""


@dataclass(frozen=True)
class StudyResult:
    """How a study went.

    Attributes:
        folder: where it is.
        plan: what was carried out.
        kept: number of runs that were there before.
        failed: name of a run that failed -> why.
    """

    folder: StudyFolder
    plan: StudyPlan
    kept: int
    failed: dict[str, str]


def run_study(
    data: PreparedData,
    plan: StudyPlan,
    out: Path,
    executor: Executor,
    threads: int | None = None,
    on_start: Callable[[], None] | None = None,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
) -> StudyResult:
    """Do all runs of a plan that are not there yet; one that fails is reported, and the others go on.

    Args:
        data: the prepared folder.
        plan: what to do; see `validate_plan`.
        out: the study folder to make, or to go on with.
        executor: who does it.
        threads: of each run.
        on_start: called in each process first.
        on_outcome: told of each run.

    Raises:
        RunFolderError: something else is in the way, or another command is at work there.
    """
    with begun_study(out, plan, data) as study:
        missing = [run for run in plan.runs if not study.finished(run)]
        root = study.root.resolve()
        tasks = [Task(data.root.resolve(), root, run, threads, on_start) for run in missing]
        failed: dict[str, str] = {}
        for outcome in executor(tasks) if tasks else ():
            if outcome.error is not None:
                failed[outcome.name] = outcome.error
            write_json(study.errors, failed)
            on_outcome(outcome)
        if not tasks:
            write_json(study.errors, failed)
    return StudyResult(study, plan, len(plan.runs) - len(missing), failed)


def validate_plan(data: PreparedData, plan: StudyPlan) -> StudyPlan:
    """The plan, once everything has been found possible that can be tried without training.

    The control lung-mask is left out, with a warning, where a guided case has no mask of its lungs.

    Raises:
        ConfigError: an unknown guidance, no gaze to guide by, too many folds or training cases, no such network.
    """
    for arm in plan.arms:
        guidance = create_guidance(arm.guidance)
        if data.multi_label:
            guidance.check_multilabel()
    ModelSpec.from_config(plan.base, data).build(weights=plan.base.weights)
    for run in plan.runs:
        if run.arm == plan.arms[0] and run.config.seed == plan.seeds[0]:
            _check_cases(data, run.config.view, guided=any(arm.guidance != UNGUIDED for arm in plan.arms))
    return replace(plan, arms=tuple(arm for arm in plan.arms if _possible(data, plan, arm)))


def _check_cases(data: PreparedData, view: ViewConfig, guided: bool) -> None:
    whole = apply_view(data, replace(view, control="none", train_cases=None)).cases
    for split in SPLITS:
        if split not in set(whole["split"]):
            raise ConfigError(f"there are no {split} cases", where=data.root, hint="ask for --folds, or prepare again")
    cases = apply_view(data, replace(view, control="none")).cases
    train, all_train = (table.loc[table["split"] == "train"] for table in (cases, whole))
    if view.train_cases is not None and not (
        view.train_cases <= len(all_train) and _classes(data, train) == _classes(data, all_train)
    ):
        raise ConfigError(
            f"{view.train_cases} training cases cannot be chosen",
            where="--train-cases",
            expected=f"enough for one of each class, and {len(all_train)} at most",
        )
    if guided and not np.asarray(train["has_gaze"]).any():
        raise ConfigError(
            "no training case has gaze, so that all arms would be the same",
            where=data.root,
            expected="gaze in the prepared folder, or --guidance none alone",
        )


def _classes(data: PreparedData, cases: pd.DataFrame) -> set[int]:
    """Numbers of the classes that some of the cases have."""
    return set(np.nonzero(label_matrix(cases, data.class_names, data.multi_label) == 1)[1].tolist())


def _possible(data: PreparedData, plan: StudyPlan, arm: Arm) -> bool:
    first = next(run for run in plan.runs if run.arm == arm)
    try:
        if arm.control != "none":
            apply_view(data, first.config.view)
    except ConfigError as error:
        if arm.control != "lung-mask":  # what only some data can have is no reason to refuse the other controls
            raise
        log.warning("arm %s is left out: %s", arm.name, error)
        return False
    return True
