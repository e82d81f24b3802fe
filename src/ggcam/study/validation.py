"""Check a study before anything is trained."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pandas as pd

from ggcam.data.case import SPLITS
from ggcam.data.prepared import PreparedData
from ggcam.data.schema import label_matrix
from ggcam.data.view_config import ViewConfig
from ggcam.data.views import apply_view
from ggcam.errors import ConfigError
from ggcam.study.plan import Arm, StudyPlan
from ggcam.training.data_checks import check_training_data, log_warnings
from ggcam.training.initial_model import build_initial_model, log_initial_weights
from ggcam.training.model_spec import ModelSpec, guidance_of

log = logging.getLogger(__name__)


def validate_plan(data: PreparedData, plan: StudyPlan) -> StudyPlan:
    """Check everything about a plan that can be checked without training.

    Args:
        data: prepared folder that the runs use.
        plan: plan of the study.

    Returns:
        The plan; without the control lung-mask, and with a warning, if a guided case has no lung mask.

    Raises:
        ConfigError: a guidance or the network does not exist, a class has no training case, no training case has
            attention that a guidance can use, or there are too many folds or training cases.
    """
    guidances = {run.arm: guidance_of(run.config) for run in plan.runs}
    if data.multi_label:
        for guidance in guidances.values():
            guidance.check_multilabel()
    log_initial_weights(build_initial_model(ModelSpec.from_config(plan.base, data), plan.base))
    warnings: dict[str, None] = {}
    real = tuple(dict.fromkeys(arm.uncontrolled for arm in plan.arms))
    viewed: dict[ViewConfig, PreparedData] = {}
    for run in replace(plan, arms=real, seeds=plan.seeds[:1]).runs:
        view = run.config.view
        if view not in viewed:
            viewed[view] = _check_cases(data, view)
        warnings |= dict.fromkeys(check_training_data(viewed[view], run.config, guidances[run.arm]))
    log_warnings(warnings)  # once, not again in each run
    return replace(plan, arms=tuple(arm for arm in plan.arms if _is_possible(data, plan, arm)))


def _check_cases(data: PreparedData, view: ViewConfig) -> PreparedData:
    """Check that a view has cases to train and to test with, and return the data of the view with real attention."""
    whole = apply_view(data, replace(view, control="none", train_cases=None)).cases
    for split in SPLITS:
        if split not in set(whole["split"]):
            raise ConfigError(f"there are no {split} cases", where=data.root, hint="use --folds, or prepare again")
    viewed = apply_view(data, replace(view, control="none"))
    train, all_train = (table.loc[table["split"] == "train"] for table in (viewed.cases, whole))
    if view.train_cases is not None and not (
        view.train_cases <= len(all_train) and _classes(data, train) == _classes(data, all_train)
    ):
        raise ConfigError(
            f"cannot choose {view.train_cases} training cases",
            where="--train-cases",
            expected=f"at least one per class, and at most {len(all_train)}",
        )
    return viewed


def _classes(data: PreparedData, cases: pd.DataFrame) -> set[int]:
    """Return the indices of the classes that some of the cases have."""
    return set(np.nonzero(label_matrix(cases, data.class_names, data.multi_label) == 1)[1].tolist())


def _is_possible(data: PreparedData, plan: StudyPlan, arm: Arm) -> bool:
    first = next(run for run in plan.runs if run.arm == arm)
    try:
        if arm.control != "none":
            apply_view(data, first.config.view)
    except ConfigError as error:
        if arm.control != "lung-mask":  # only some data have masks, and the other controls do not need them
            raise
        log.warning("arm %s is left out: %s", arm.name, error)
        return False
    return True
