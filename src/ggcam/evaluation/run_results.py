"""Read an evaluated run folder into the content of its page; the pages themselves know no run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ggcam.data.prepared import PreparedData
from ggcam.errors import DataError, MissingFileError, RunFolderError
from ggcam.report.cases import CaseReader, PredictionTable, read_cams, read_case_metrics, read_predictions
from ggcam.report.data_card import data_card
from ggcam.report.gallery import gallery_cases
from ggcam.report.run_charts import run_charts
from ggcam.report.run_page import RunResults
from ggcam.run_folder import RunFolder, read_json
from ggcam.training.run import Run
from ggcam.utils.versions import versions

PACKAGES = ("ggcam", "torch", "timm", "lightning", "numpy")
"""Packages whose versions the page lists."""


def read_results(run: Run) -> RunResults:
    """Read everything that the page of an evaluated run shows; without pictures, and saying so, if its data are gone.

    Args:
        run: an evaluated run.

    Returns:
        Content of the page.

    Raises:
        MissingFileError: the run has not been evaluated, or was evaluated by an earlier version of ggcam.
        RunFolderError: a file of the evaluation is damaged.
    """
    folder = run.folder
    measured = _read_with_keys(folder.metrics, run, "data", "split", "patients")
    report = _read_with_keys(folder.classification_report, run, "ours")
    if not folder.case_metrics.is_file() or "ece" not in measured:
        raise MissingFileError(
            "the run has not been evaluated, or was evaluated by an earlier version of ggcam",
            where=folder.case_metrics,
            hint=f"evaluate the run again: ggcam evaluate {folder.root}",
        )
    table, cams = read_predictions(folder), read_cams(folder)
    predicted = _parse_predictions(folder, table)
    data, missing = _data_or_reason(run, Path(measured["data"]), predicted)
    gallery = ()
    if data is not None:
        reader = CaseReader(data, cams, run.config.sigma_px, run.config.sigma_deg)
        gallery = gallery_cases(reader, data, predicted, read_case_metrics(folder))
    return RunResults(
        run_id=run.name,
        metrics=measured,
        report=report,
        summary=_summary(run, measured, data),
        charts=run_charts(predicted, _history_or_none(run), measured),
        gallery=gallery,
        evaluated_cases=len(table),
        data_card=data_card(data) if data is not None else None,
        missing=missing,
        config=folder.config.read_text(encoding="utf-8"),
        versions=versions(*PACKAGES),
        training_facts=_read_summary(folder),
    )


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


def _parse_predictions(folder: RunFolder, table: pd.DataFrame) -> PredictionTable:
    try:
        return PredictionTable.from_table(table)
    except (KeyError, ValueError, IndexError) as error:
        raise RunFolderError(
            "the run's predictions are damaged",
            where=folder.predictions,
            got=error,
            hint=f"evaluate the run again: ggcam evaluate {folder.root}",
        ) from error


def _data_or_reason(run: Run, root: Path, predicted: PredictionTable) -> tuple[PreparedData | None, str]:
    """Return the data that the run was evaluated on, or the reason why they cannot be shown."""
    try:
        data = run.data(root)
    except DataError as error:
        return None, str(error)
    missing = set(predicted.case_ids.tolist()) - set(data.cases["case_id"])
    if missing:
        return None, f"the data in {root} have changed: {len(missing):,} evaluated cases are not among them"
    return data, ""


def _history_or_none(run: Run) -> pd.DataFrame | None:
    try:
        return run.history
    except (DataError, OSError):  # the page can do without its training charts
        return None


def _read_summary(folder: RunFolder) -> dict[str, str]:
    """Return time, machine and versions of the training, if its summary exists."""
    lines = folder.summary.read_text(encoding="utf-8").splitlines() if folder.summary.is_file() else []
    return {name: value for name, _, value in (line.partition(": ") for line in lines) if value}


def _read_with_keys(path: Path, run: Run, *keys: str) -> dict[str, Any]:
    content = read_json(path)
    missing = [key for key in keys if key not in content]
    if missing:
        raise RunFolderError(
            f"a file of the run lacks {', '.join(missing)}",
            where=path,
            hint=f"evaluate the run again: ggcam evaluate {run.folder.root}",
        )
    return content
