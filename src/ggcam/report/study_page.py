"""A study's results on one page: what the arms reach, how they differ, and how surely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ggcam.report.data_card import DataCard
from ggcam.report.render import render, write_page
from ggcam.report.study_tables import arm_tables, forest_tables, headline_rows, is_main, size_charts


@dataclass(frozen=True)
class StudyRun:
    """One run of a study.

    Attributes:
        name: of its folder.
        page: its own page, relative to that of the study.
        macro_auroc: value, low and high, None where undefined.
        accuracy: the same.
    """

    name: str
    page: str
    macro_auroc: Mapping[str, float | None]
    accuracy: Mapping[str, float | None]


@dataclass(frozen=True)
class StudyResults:
    """What a study folder says about a study.

    Attributes:
        name: of the study.
        summary: content of summary.json.
        controls: names of the arms that were shown something in the place of gaze.
        runs: those that are finished.
        failed: name of a run -> why it failed in the last call.
        data_card: of the data; None where they are gone.
        missing: why there is no data card; "" where there is one.
        plan: text of study.toml.
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
    """Write the page of a study; everything is inside it. Its folder is made if need be."""
    write_page(render_study_report(results), out_html)


def render_study_report(results: StudyResults) -> str:
    """The page of a study as text. Names and values are escaped: nothing in them can become markup."""
    summary, controls = results.summary, results.controls
    forests = forest_tables(summary, controls)
    return render(
        "study.html.j2",
        study=results,
        summary=summary,
        headlines=headline_rows(summary, controls),
        tables=arm_tables(summary, controls),
        forests=[table for table in forests if is_main(table.metric)],
        further=[table for table in forests if not is_main(table.metric)],
        size_charts=size_charts(summary, controls),
        unfinished=[(name, results.failed.get(name, "not begun, or interrupted")) for name in summary["missing_runs"]],
    )
