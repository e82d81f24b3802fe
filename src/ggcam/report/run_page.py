"""The page of a run: a single HTML file that needs no other file and no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ggcam.report.data_card import DataCard
from ggcam.report.gallery import MAX_CASES, NO_LABEL, GalleryCase
from ggcam.report.layers import GAZE_COLOUR_MAP, legend, line_height_px
from ggcam.report.overlay import COLOUR_MAP
from ggcam.report.render import render, write_page
from ggcam.report.result_schemas import SELECTED_ON_TEST
from ggcam.report.run_charts import RunCharts
from ggcam.report.run_tables import (
    CEILING,
    REFERENCES,
    agreement_rows,
    calibration_rows,
    is_multi_label,
    operating_point_rows,
    overall_rows,
    overlap_rows,
    size_rows,
    target_rows,
)


@dataclass(frozen=True)
class RunResults:
    """Content of the page of a run.

    Attributes:
        run_id: name of the run.
        metrics: content of metrics.json. Metrics are {"value", "low", "high"}; "macro_auroc" is the headline;
            "interval" says what kind of interval it is. Undefined values are None, and any part may be absent.
        report: content of classification_report.json.
        summary: facts at the top of the page, such as {"Guidance": "ggcam-cc", "Test cases": "220"}.
        charts: charts of the predictions and the training.
        gallery: cases of the gallery; the first `MAX_CASES` are shown.
        evaluated_cases: number of cases that the gallery was chosen from.
        data_card: summary of the data; None where the data cannot be read.
        missing: what the page lacks because the data cannot be read, and why; empty where nothing is missing.
        config: content of config.toml.
        versions: package -> version.
        training_facts: duration, machine and versions of the training.
    """

    run_id: str
    metrics: Mapping[str, Any]
    report: Mapping[str, Any]
    summary: Mapping[str, str] = field(default_factory=dict)
    charts: RunCharts = field(default_factory=RunCharts)
    gallery: tuple[GalleryCase, ...] = ()
    evaluated_cases: int = 0
    data_card: DataCard | None = None
    missing: str = ""
    config: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    training_facts: Mapping[str, str] = field(default_factory=dict)


def write_run_report(results: RunResults, out_html: Path) -> None:
    """Write the page of a run, with the pictures inside.

    Args:
        results: content of the page.
        out_html: file to write; its folder is created if missing.
    """
    write_page(render_run_report(results), out_html)


def render_run_report(results: RunResults) -> str:
    """Render the page of a run. Names and values are escaped, so that none of them becomes markup.

    Args:
        results: content of the page.

    Returns:
        The page as HTML.
    """
    metrics, ours = results.metrics, results.report["ours"]
    agreement = agreement_rows(metrics)
    return render(
        "run.html.j2",
        run=results,
        macro_auroc=metrics.get("macro_auroc"),
        overall=overall_rows(metrics, ours),
        classes=_class_rows(metrics, ours),
        kind_of_interval=metrics.get("interval"),
        selected_on_test=SELECTED_ON_TEST,
        calibration=calibration_rows(metrics),
        temperatures=metrics.get("temperature", {}),
        operating_points=operating_point_rows(metrics),
        targets=target_rows(metrics),
        overlaps=overlap_rows(metrics),
        sizes=size_rows(metrics),
        agreement=agreement,
        references=[name for name in REFERENCES.values() if any(name in row.references for row in agreement)],
        ceiling=REFERENCES[CEILING],
        shortcut=metrics.get("shortcut"),
        ours=ours,
        multi_label=is_multi_label(ours),
        gallery=results.gallery[:MAX_CASES],
        no_label=NO_LABEL,
        class_names=list(ours["classes"]),
        cam_colours=legend(COLOUR_MAP),
        gaze_colours=legend(GAZE_COLOUR_MAP),
        line_height=line_height_px,
    )


def _class_rows(metrics: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the metrics of each class; those found in classification_report.json only have no interval."""

    def metric(kind: str, name: str, fallback: float | None) -> Mapping[str, Any]:
        return metrics.get(kind, {}).get(name, {"value": fallback})

    return {
        name: {
            **row,
            "f1": row["f1-score"],
            "auroc": metric("auroc", name, row["auroc"]),
            "delong": metric("auroc_delong", name, None),
            "auprc": metric("auprc", name, row["auprc"]),
            "sensitivity": metric("sensitivity_at_90_specificity", name, None),
        }
        for name, row in ours["classes"].items()
    }
