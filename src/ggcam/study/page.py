"""Write the HTML report of a study from its folder."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd

from ggcam.data.prepared import load_prepared
from ggcam.errors import DataError, MissingFileError, RunFolderError
from ggcam.evaluation.run_results import PACKAGES
from ggcam.metrics.classification import nan_to_none
from ggcam.report.data_card import DataCard, data_card
from ggcam.report.study_page import StudyResults, StudyRun, write_study_report
from ggcam.study.folder import StudyFolder, open_study_folder
from ggcam.study.plan import read_plan
from ggcam.study.result_files import read_errors, read_summary, read_table
from ggcam.utils.documents import read_text
from ggcam.utils.recorded_paths import recorded_path
from ggcam.utils.versions import versions


def write_study_page(root: Path, out_html: Path | None = None, data: Path | None = None) -> Path:
    """Write the HTML report of a study.

    Args:
        root: the study folder.
        out_html: file to write. Default: report.html in the study folder.
        data: prepared folder of the study. Default: the one that the study records.

    Returns:
        The path of the report.

    Raises:
        RunFolderError: the folder is not a study, or its results are damaged.
        MissingFileError: the study has no results.
    """
    results = read_study(root, data)
    page = out_html or StudyFolder(root).html_report
    write_study_report(results, page)
    return page


def read_study(root: Path, data: Path | None = None) -> StudyResults:
    """Read everything that the report of a study shows; if the data are gone, the report says so.

    Args:
        root: the study folder.
        data: prepared folder of the study. Default: the one that the study records.

    Returns:
        The content of the report.

    Raises:
        RunFolderError: the folder is not a study, or its results are damaged.
        MissingFileError: the study has no results.
    """
    study, plan = open_study_folder(root)
    for path in (study.summary, study.table):
        if not path.is_file():
            raise MissingFileError("the study has no results", where=path, hint="run the same `ggcam study` again")
    summary = read_summary(study)
    card, missing = _card_or_reason(data or recorded_path(read_plan(study.plan)[1]["root"], root))
    return StudyResults(
        name=root.resolve().name,
        summary=summary,
        controls=frozenset(arm.name for arm in plan.arms if arm.control != "none"),
        runs=_runs(study),
        failed=read_errors(study),
        data_card=card,
        missing=missing,
        plan=read_text(study.plan, RunFolderError),
        versions=versions(*PACKAGES),
    )


def _card_or_reason(data: Path | None) -> tuple[DataCard | None, str]:
    if data is None:
        return None, "the study does not record where its data are; pass them with --data"
    try:
        return data_card(load_prepared(data)), ""
    except DataError as error:  # the page tells no path of the machine
        return None, str(error).replace(str(data), data.name)


def _runs(study: StudyFolder) -> tuple[StudyRun, ...]:
    return tuple(
        StudyRun(str(name), f"runs/{name}/report.html", _metric(of_run, "macro_auroc"), _metric(of_run, "accuracy"))
        for name, of_run in read_table(study).groupby("run", sort=False)
    )


def _metric(of_run: pd.DataFrame, metric: str) -> dict[str, Any]:
    """Return a metric of a run: value, low and high, None if undefined or absent."""
    values = {end: dict(zip(of_run["metric"], of_run[end], strict=True)) for end in ("value", "low", "high")}
    return nan_to_none({end: float(of_end.get(metric, math.nan)) for end, of_end in values.items()})
