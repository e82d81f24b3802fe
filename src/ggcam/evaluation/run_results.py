"""Read an evaluated run folder into the content of its page; the pages themselves know no run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ggcam.data.prepared import PreparedData
from ggcam.errors import DataError, RunFolderError, join_limited
from ggcam.report.cases import CaseReader, PredictionTable
from ggcam.report.data_card import data_card
from ggcam.report.diverged_page import write_diverged_report
from ggcam.report.gallery import gallery_cases
from ggcam.report.run_charts import run_charts
from ggcam.report.run_files import evaluate_again, read_evaluation
from ggcam.report.run_page import RunResults, write_run_report
from ggcam.run_folder import RunFolder
from ggcam.training.run import Run
from ggcam.utils.documents import read_text
from ggcam.utils.recorded_paths import recorded_path
from ggcam.utils.versions import versions

PACKAGES = ("ggcam", "torch", "timm", "lightning", "numpy")
"""Packages whose versions the page lists."""


def read_results(run: Run, data: PreparedData | Path | None = None) -> RunResults:
    """Read everything that the page of an evaluated run shows; without pictures, and saying so, if its data are gone.

    Args:
        run: an evaluated run.
        data: prepared folder that it was evaluated on, or its path; None for the one that the evaluation recorded.

    Returns:
        Content of the page.

    Raises:
        MissingFileError: the run has not been evaluated, or was evaluated by an earlier version of ggcam.
        RunFolderError: a file of the evaluation is damaged.
    """
    folder = run.folder
    files = read_evaluation(folder)
    measured, predicted = files.metrics, PredictionTable.from_table(files.predictions)
    if predicted.class_names != run.class_names:
        raise RunFolderError(
            "the predictions have other classes than the network",
            where=folder.predictions,
            expected=join_limited(run.class_names),
            got=join_limited(predicted.class_names),
            hint=evaluate_again(folder),
        )
    data, missing = _data_or_reason(run, data or recorded_path(measured["data"], folder.root), predicted)
    gallery = ()
    if data is not None:
        reader = CaseReader(data, files.cams, run.config.sigma_px, run.config.sigma_deg)
        gallery = gallery_cases(reader, data, predicted, files.case_metrics)
    return RunResults(
        run_id=run.name,
        metrics=measured,
        report=files.report,
        summary=_summary(run, measured, data),
        charts=run_charts(
            predicted, _history_or_none(run), measured, run.config.monitored_column, run.config.monitor_mode
        ),
        gallery=gallery,
        evaluated_cases=len(files.predictions),
        data_card=data_card(data) if data is not None else None,
        missing=missing,
        config=read_text(folder.config, RunFolderError),
        versions=versions(*PACKAGES),
        training_facts=_read_summary(folder),
    )


def write_report(run: Run, out_html: Path, data_root: Path | None = None) -> None:
    """Write the page of a run: its results, or why there are none if its training diverged.

    Args:
        run: an evaluated run, or one whose training diverged.
        out_html: file to write; its folder is created if missing.
        data_root: prepared folder that it was evaluated on; None for the one that the evaluation recorded.

    Raises:
        MissingFileError: the run has not been evaluated, or was evaluated by an earlier version of ggcam.
        RunFolderError: a file of the evaluation is damaged.
    """
    if run.divergence is None:
        write_run_report(read_results(run, data_root), out_html)
        return
    config = read_text(run.folder.config, RunFolderError)
    write_diverged_report(run.name, run.divergence, _history_or_none(run), config, out_html)


def _summary(run: Run, measured: Mapping[str, Any], data: PreparedData | None) -> dict[str, str]:
    view = run.config.view
    facts = {
        "Guidance": run.config.guidance,
        "Network": run.spec.backbone,
        "Split": str(measured["split"]),
        "Cases": f"{measured.get('cases', 0):,}",
        "Patients": f"{measured['patients']:,}",
        "Seed": str(run.config.seed),
    }
    if data is not None:
        facts["Frame"] = str(data.frame)
    if view.control != "none":
        facts["Control in place of gaze"] = view.control
    if view.folds:
        facts["Fold"] = f"{view.fold} of {view.folds}"
    if view.train_cases:
        facts["Training cases"] = f"{view.train_cases:,}"
    return facts


def _data_or_reason(
    run: Run, data: PreparedData | Path | None, predicted: PredictionTable
) -> tuple[PreparedData | None, str]:
    """Return the data that the run was evaluated on, or the reason why they cannot be shown."""
    if data is None:
        return None, "the evaluation does not record where its data are; pass them with --data"
    if isinstance(data, Path):
        root = data
        try:
            data = run.data(root)
        except DataError as error:  # the page tells no path of the machine
            return None, str(error).replace(str(root), root.name).replace(str(run.folder.root), run.name)
    missing = set(predicted.case_ids.tolist()) - set(data.cases["case_id"])
    if missing:
        return None, f"the data in {data.root.name} have changed: {len(missing):,} evaluated cases are not among them"
    return data, ""


def _history_or_none(run: Run) -> pd.DataFrame | None:
    try:
        return run.history
    except (DataError, OSError):  # the page can do without its training charts
        return None


def _read_summary(folder: RunFolder) -> dict[str, str]:
    """Return time, machine and versions of the training, if its summary exists."""
    if not folder.summary.is_file():
        return {}
    lines = read_text(folder.summary, RunFolderError).splitlines()
    return {name: value for name, _, value in (line.partition(": ") for line in lines) if value}
