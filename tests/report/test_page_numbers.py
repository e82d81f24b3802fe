"""The numbers on a run's page are those of metrics.json and case_metrics.parquet; nothing is computed a second time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ggcam.evaluation.run_metrics import classification_metrics, with_intervals
from ggcam.evaluation.run_results import read_results
from ggcam.metrics.curves import GRID
from ggcam.report.cases import PredictionTable
from ggcam.report.charts import HEIGHT, band, x_of, y_of
from ggcam.report.gallery import AGREEMENT_METRIC
from ggcam.report.run_charts import run_charts
from ggcam.report.run_page import RunResults, render_run_report
from ggcam.report.run_tables import OVERALL, REFERENCES
from ggcam.training.run import Run, open_run
from report.page_fixtures import Page, predictions


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Run:
    """A copy of the trained run, to change its files."""
    return open_run(Path(shutil.copytree(trained, tmp_path / "run")))


@pytest.fixture(scope="module")
def results(trained: Path) -> RunResults:
    return read_results(open_run(trained))


def number_metrics(tree: Any, numbers: Iterator[int]) -> Any:
    """The same tree with a different number, 0.101, 0.102, ..., in place of every value and end of an interval."""
    if not isinstance(tree, dict):
        return tree
    return {
        name: next(numbers) / 1000
        if name in ("value", "low", "high") and item is not None
        else number_metrics(item, numbers)
        for name, item in tree.items()
    }


def shown_metrics(metrics: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], tuple[str, ...]]]:
    """Path, metric, and the parts of it that the page shows."""
    all_parts, value = ("value", "low", "high"), ("value",)
    for name in OVERALL:
        yield name, metrics[name], all_parts
    for kind in ("auroc", "auprc", "sensitivity_at_90_specificity"):
        yield from ((f"{kind}/{name}", metric, all_parts) for name, metric in metrics[kind].items())
    yield from ((f"auroc_delong/{name}", metric, all_parts[1:]) for name, metric in metrics["auroc_delong"].items())
    for name, found in metrics["gaze_agreement"].items():
        if isinstance(found, dict):
            yield f"{name}/cam", found["cam"], all_parts
            yield f"{name}/difference", found["cam_minus_shuffled_gaze"], all_parts
            yield from ((f"{name}/{source}", found[source], value) for source in REFERENCES if source in found)
    for name, found in {**metrics["anatomy"], **metrics["pointing_game"]}.items():
        yield f"{name}/hit_rate", found["hit_rate"], all_parts
        yield f"{name}/chance", found["chance"], value
    for class_name, found in metrics["overlap"].items():
        for name, metric in found.items():
            if isinstance(metric, dict) and "cam" in metric:
                yield f"{class_name}/{name}/cam", metric["cam"], all_parts
                yield f"{class_name}/{name}/difference", metric["cam_minus_chance"], all_parts
                yield f"{class_name}/{name}/chance", metric["chance"], value


def test_every_number_in_the_tables_is_read_from_metrics_json(run):
    path = run.folder.metrics
    metrics = number_metrics(json.loads(path.read_text()), count(101))
    path.write_text(json.dumps(metrics))
    words = Page(render_run_report(read_results(run))).words
    shown = [
        (where, f"{metric[part]:.3f}")
        for where, metric, parts in shown_metrics(metrics)
        for part in parts
        if metric[part] is not None
    ]
    assert len(shown) > 100
    assert len({number for _, number in shown}) == len(shown)
    assert [where for where, number in shown if number not in words] == []


def test_the_agreement_of_a_gallery_case_is_that_of_case_metrics(results, trained):
    table = pd.read_parquet(open_run(trained).folder.case_metrics).set_index("case_id")[AGREEMENT_METRIC]
    shown = {case.name: case.agreement for case in results.gallery}
    assert set(shown) == set(table.index)
    assert shown == {case_id: None if np.isnan(value) else value for case_id, value in table.items()}
    assert sum(value is not None for value in shown.values()) > 5


def test_the_reliability_curve_is_that_of_metrics_json(results):
    bins = list(results.metrics["reliability"].values())
    chart = results.charts.calibration
    assert chart is not None
    expected = sorted((each["confidence"]["value"], each["accuracy"]["value"], each["cases"]) for each in bins)
    assert [(dot.x, dot.y) for dot in chart.dots] == [(x_of(chart.x, a), y_of(chart.y, b)) for a, b, _ in expected]
    assert [int(dot.text.split()[0]) for dot in chart.dots] == [cases for *_, cases in expected]
    assert sum(each["cases"] for each in bins) == results.metrics["cases"]


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_bands_of_the_curves_rest_on_the_resamples_of_the_metrics(multi_label):
    """At a false positive rate of 0.1 the ROC band is the interval of the sensitivity at 90 % specificity."""
    names = ("a", "b", "c")
    table = predictions(names, cases=230, multi_label=multi_label)[0]
    table["patient_id"] = [f"p{i // 3}" for i in range(len(table))]
    predicted = PredictionTable.from_table(table)
    labels = predicted.truth if multi_label else predicted.truth.argmax(axis=1)
    metrics = with_intervals(classification_metrics(predicted.probabilities, labels, names), predicted.patients)
    (at,) = np.flatnonzero(np.isclose(GRID, 0.1))
    for chart in run_charts(predicted, None, metrics).roc:
        metric = metrics["sensitivity_at_90_specificity"][chart.title]
        low, high = (np.full(len(GRID), metric[end]) for end in ("low", "high"))
        expected = band(chart.x, chart.y, GRID, low, high).path
        for drawn, wanted in zip(_corners(chart.shapes[1].path), _corners(expected), strict=True):
            assert drawn[at] == wanted[at]


def _corners(path: str) -> tuple[list[str], list[str]]:
    """Points of the upper and of the lower line of a band, from left to right."""
    points = path.strip("MZ").split("L")
    assert all(0 <= float(point.split()[1]) <= HEIGHT for point in points)
    return points[: len(points) // 2], points[len(points) // 2 :][::-1]
