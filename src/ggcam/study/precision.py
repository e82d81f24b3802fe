"""The precision that all runs of a study share, so that its arms differ in nothing else."""

from __future__ import annotations

from dataclasses import replace

from ggcam.data.prepared import PreparedData
from ggcam.study.folder import StudyFolder
from ggcam.study.plan import StudyPlan, read_plan
from ggcam.training.initial_model import build_initial_model
from ggcam.training.model_spec import ModelSpec
from ggcam.training.precision import with_measured_precision


def with_shared_precision(data: PreparedData, plan: StudyPlan, study: StudyFolder) -> StudyPlan:
    """Choose the precision of a study, if its plan leaves that open: as the study began, or else by measurement.

    Args:
        data: prepared folder that the runs use.
        plan: plan of the study.
        study: the study folder, which need not exist.

    Returns:
        The plan with that precision.

    Raises:
        RunFolderError: the plan of the existing study is damaged.
    """
    if plan.base.precision != "auto":
        return plan
    if study.plan.is_file():
        return replace(plan, base=replace(plan.base, precision=read_plan(study.plan)[0].base.precision))
    spec = ModelSpec.from_config(plan.base, data)
    model = build_initial_model(spec, plan.base)
    return replace(plan, base=with_measured_precision(plan.base, spec, model, processes=1))
