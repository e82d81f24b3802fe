"""A run's results on one page: a single HTML file that needs nothing beside it, and no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ggcam.report.data_card import DataCard
from ggcam.report.gallery import MAX_CASES, NO_LABEL, GalleryCase
from ggcam.report.layers import GAZE_COLOUR_MAP, legend, line_px
from ggcam.report.overlay import COLOUR_MAP
from ggcam.report.render import render, write_page
from ggcam.report.run_charts import RunCharts
from ggcam.report.run_tables import (
    READ_AGAINST,
    agreement_rows,
    has_several_labels,
    overall_rows,
    overlap_rows,
    size_rows,
    target_rows,
)


@dataclass(frozen=True)
class RunResults:
    """What a run folder says about a run.

    Attributes:
        run_id: the run's name.
        metrics: content of metrics.json. "macro_auroc", which makes the headline, and all other metrics are
            {"value", "low", "high"}; "interval" says of what kind the interval is. None is undefined, and every part
            may be absent.
        report: content of classification_report.json.
        summary: short facts for the top of the page, such as {"Guidance": "ggcam-cc", "Test cases": "220"}.
        charts: what is drawn of its predictions and its training.
        gallery: cases to show; the first `MAX_CASES` are.
        of_cases: how many cases they were chosen from.
        data_card: of the data; None where they are gone.
        missing: what is not on the page for want of data, and why; "" where nothing is.
        config: text of config.toml.
        versions: package -> version.
        made: further facts about the training: time, machine.
    """

    run_id: str
    metrics: Mapping[str, Any]
    report: Mapping[str, Any]
    summary: Mapping[str, str] = field(default_factory=dict)
    charts: RunCharts = field(default_factory=RunCharts)
    gallery: tuple[GalleryCase, ...] = ()
    of_cases: int = 0
    data_card: DataCard | None = None
    missing: str = ""
    config: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    made: Mapping[str, str] = field(default_factory=dict)


def write_run_report(results: RunResults, out_html: Path) -> None:
    """Write the page of a run; everything is inside it, the pictures as data URIs. Its folder is made if need be."""
    write_page(render_run_report(results), out_html)


def render_run_report(results: RunResults) -> str:
    """The page of a run as text. Names and values are escaped: nothing in them can become markup."""
    metrics, ours = results.metrics, results.report["ours"]
    agreement = agreement_rows(metrics)
    return render(
        "run.html.j2",
        run=results,
        macro_auroc=metrics.get("macro_auroc"),
        overall=overall_rows(metrics, ours),
        classes=_class_rows(metrics, ours),
        kind_of_interval=metrics.get("interval"),
        targets=target_rows(metrics),
        overlaps=overlap_rows(metrics),
        sizes=size_rows(metrics),
        agreement=agreement,
        against=[name for name in READ_AGAINST.values() if any(name in row.against for row in agreement)],
        ceiling=READ_AGAINST["other_reader"],
        shortcut=metrics.get("shortcut"),
        ours=ours,
        several=has_several_labels(ours),
        gallery=results.gallery[:MAX_CASES],
        no_label=NO_LABEL,
        class_names=list(ours["classes"]),
        cam_colours=legend(COLOUR_MAP),
        gaze_colours=legend(GAZE_COLOUR_MAP),
        line=line_px,
    )


def _class_rows(metrics: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Class -> its metrics; those of classification_report.json alone have no interval."""

    def metric(kind: str, name: str, otherwise: float | None) -> Mapping[str, Any]:
        return metrics.get(kind, {}).get(name, {"value": otherwise})

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
