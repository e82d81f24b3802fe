"""The page of a study: metrics of the arms, and their differences with intervals and p-values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ggcam.report.data_card import DataCard
from ggcam.report.render import render, write_page
from ggcam.report.study_tables import (
    arm_tables,
    diverged_runs,
    forest_tables,
    headline_rows,
    is_main_metric,
    size_charts,
)


@dataclass(frozen=True)
class StudyRun:
    """One run of a study.

    Attributes:
        name: name of its folder.
        page: path of its page, relative to that of the study.
        macro_auroc: "value", "low" and "high", None where undefined.
        accuracy: likewise.
    """

    name: str
    page: str
    macro_auroc: Mapping[str, float | None]
    accuracy: Mapping[str, float | None]


@dataclass(frozen=True)
class StudyResults:
    """Content of the page of a study.

    Attributes:
        name: name of the study.
        summary: content of summary.json.
        controls: names of the arms that train with a control in place of gaze.
        runs: the finished runs.
        failed: name of a run -> why it failed in the last call.
        data_card: summary of the data; None where they cannot be read.
        missing: why there is no data card; empty where there is one.
        plan: content of study.toml.
        versions: package -> version.
    """

    name: str
    summary: Mapping[str, Any]
    controls: frozenset[str] = frozenset()
    runs: tuple[StudyRun, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    data_card: DataCard | None = None
    missing: str = ""
    plan: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


def write_study_report(results: StudyResults, out_html: Path) -> None:
    """Write the page of a study as a single file.

    Args:
        results: content of the page.
        out_html: file to write; its folder is created if missing.
    """
    write_page(render_study_report(results), out_html)


def render_study_report(results: StudyResults) -> str:
    """Render the page of a study. Names and values are escaped, so that none of them becomes markup.

    Args:
        results: content of the page.

    Returns:
        The page as HTML.
    """
    summary, controls = results.summary, results.controls
    forests = forest_tables(summary, controls)
    return render(
        "study.html.j2",
        study=results,
        summary=summary,
        headlines=headline_rows(summary, controls),
        tables=arm_tables(summary, controls),
        forests=[table for table in forests if is_main_metric(table.metric)],
        more_forests=[table for table in forests if not is_main_metric(table.metric)],
        size_charts=size_charts(summary, controls),
        diverged=diverged_runs(results.failed),
        unfinished=[(name, results.failed.get(name, "not started or interrupted")) for name in summary["missing_runs"]],
    )
