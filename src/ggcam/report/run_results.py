"""Read what a run folder holds into the form that its page is made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ggcam.data.prepared import PreparedData
from ggcam.errors import DataError, RunFolderError
from ggcam.report.cases import CaseReader, PredictionTable, read_cams, read_predictions
from ggcam.report.data_card import data_card
from ggcam.report.gallery import gallery_cases
from ggcam.report.run_charts import run_charts
from ggcam.report.run_page import RunResults
from ggcam.run_folder import RunFolder, data_of, read_json
from ggcam.utils.versions import versions

PACKAGES = ("ggcam", "torch", "timm", "lightning", "numpy")


def read_results(run: RunFolder) -> RunResults:
    """Everything for the page of an evaluated run; without pictures, and saying so, where its data are gone.

    Raises:
        MissingFileError: the run has not been evaluated.
        RunFolderError: what the evaluation left is damaged.
    """
    measured = _check_keys(run.metrics, "data", "split", "patients")
    report = _check_keys(run.classification_report, "ours")
    table, cams = read_predictions(run), read_cams(run)
    predicted = _predicted(run, table)
    data, missing = _data_or_reason(run, Path(measured["data"]), predicted)
    return RunResults(
        run_id=run.root.name,
        metrics=measured,
        report=report,
        summary=_summary(run, measured, data),
        charts=run_charts(predicted, _history(run), measured),
        gallery=gallery_cases(CaseReader(run, data, cams), data, predicted) if data is not None else (),
        of_cases=len(table),
        data_card=data_card(data) if data is not None else None,
        missing=missing,
        config=(run.root / "config.toml").read_text(encoding="utf-8"),
        versions=versions(*PACKAGES),
        made=_made(run),
    )


def _summary(run: RunFolder, measured: Mapping[str, Any], data: PreparedData | None) -> dict[str, str]:
    train = run.settings["train"]
    view = train.get("view", {})
    facts = {
        "Guidance": str(train.get("guidance", "unknown")),
        "Network": str(run.description.get("backbone", run.description["type"])),
        "Split": str(measured["split"]),
        "Cases": f"{measured.get('cases', 0):,}",
        "Patients": f"{measured['patients']:,}",
        "Seed": str(train.get("seed", "unknown")),
    }
    if data is not None:
        facts["Frame"] = str(data.frame)
    if view.get("control", "none") != "none":
        facts["In the place of gaze"] = str(view["control"])
    if view.get("folds"):
        facts["Fold"] = f"{view.get('fold', 0)} of {view['folds']}"
    if view.get("train_cases"):
        facts["Training cases"] = f"{view['train_cases']:,}"
    return facts


def _predicted(run: RunFolder, table: pd.DataFrame) -> PredictionTable:
    try:
        return PredictionTable.from_table(table)
    except (KeyError, ValueError, IndexError) as error:
        raise RunFolderError(
            "the run's predictions are damaged",
            where=run.predictions,
            got=error,
            hint=f"evaluate the run again: ggcam evaluate {run.root}",
        ) from error


def _data_or_reason(run: RunFolder, root: Path, predicted: PredictionTable) -> tuple[PreparedData | None, str]:
    """The run's data, or why there are none to show."""
    try:
        data = data_of(run, root)
    except DataError as error:
        return None, str(error)
    others = set(predicted.case_ids.tolist()) - set(data.cases["case_id"])
    if others:
        return None, f"the data in {root} are others now: {len(others):,} evaluated cases are not among them"
    return data, ""


def _history(run: RunFolder) -> pd.DataFrame | None:
    try:
        return pd.read_csv(run.history)
    except (OSError, ValueError):  # a picture less is no reason to have no page
        return None


def _made(run: RunFolder) -> dict[str, str]:
    """Time, machine and versions of the training, where its summary is there."""
    path = run.root / "QuickHelper_summary.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {name: value for name, _, value in (line.partition(": ") for line in lines) if value}


def _check_keys(path: Path, *keys: str) -> dict[str, Any]:
    content = read_json(path)
    missing = [key for key in keys if key not in content]
    if missing:
        raise RunFolderError(
            f"a file of the run lacks {', '.join(missing)}", where=path, hint="evaluate the run again: ggcam evaluate"
        )
    return content
