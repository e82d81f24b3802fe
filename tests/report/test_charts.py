"""Axes, ticks and paths; the charts of a run hold the numbers that they are to show."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggcam.metrics.curves import class_curves
from ggcam.report.cases import PredictionTable
from ggcam.report.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, band, line, round_ticks, x_of, y_of
from ggcam.report.run_charts import run_charts, training_charts
from report.page_fixtures import history, predictions

SQUARE = Axis.zero_to_one("x")


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path)]


def test_the_ends_of_an_axis_are_the_edges_of_the_chart():
    assert (x_of(SQUARE, 0), x_of(SQUARE, 1)) == (LEFT, WIDTH - RIGHT)
    assert (y_of(SQUARE, 0), y_of(SQUARE, 1)) == (HEIGHT - BOTTOM, TOP)
    assert SQUARE.percent(0.25) == "25.00%"
    assert SQUARE.percent(-3) == "0.00%"


@given(st.floats(-1e6, 1e6), st.floats(1e-4, 1e6))
def test_ticks_are_round_few_and_inside(low, width):
    high = low + width
    ticks = round_ticks(low, high)
    assert len(ticks) <= 8
    assert all(low - 1e-6 * width <= each <= high + 1e-6 * width for each in ticks)
    steps = np.diff(ticks)
    assert len(steps) == 0 or np.allclose(steps, steps[0], rtol=1e-3)
    assert len(ticks) >= 1


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=6))
def test_all_values_fit_on_an_axis_around_them(values):
    known = [value for value in values if value is not None]
    axis = Axis.around("x", np.array([np.nan if value is None else value for value in values]))
    assert axis.low < axis.high
    assert all(0 <= axis.at(value) <= 1 for value in known)


def test_epochs_are_named_by_whole_numbers():
    assert Axis.around("epoch", [0, 1], integers=True).ticks == (0, 1)
    assert Axis.around("epoch", [3], integers=True).ticks == (2, 3, 4)


def test_a_line_breaks_where_it_is_undefined():
    shape = line(SQUARE, SQUARE, np.array([0, 0.5, 1]), np.array([0.0, np.nan, 1.0]))
    assert points(shape.path) == [(LEFT, HEIGHT - BOTTOM), (WIDTH - RIGHT, TOP)]
    assert shape.path.count("M") == 2
    assert line(SQUARE, SQUARE, np.array([0.0]), np.array([np.nan])).path == ""


def test_a_staircase_holds_its_height_until_the_next_point():
    path = line(SQUARE, SQUARE, np.array([0.0, 1.0]), np.array([0.0, 1.0]), steps=True).path
    assert path == f"M{LEFT:.1f} {HEIGHT - BOTTOM:.1f}H{WIDTH - RIGHT:.1f}V{TOP:.1f}"


def test_a_band_goes_there_and_back():
    x = np.array([0.0, 0.5, 1.0])
    path = band(SQUARE, SQUARE, x, np.array([0.0, np.nan, 0.2]), np.array([1.0, np.nan, 0.8])).path
    assert len(points(path)) == 4
    assert path.endswith("Z")
    assert band(SQUARE, SQUARE, x, np.full(3, np.nan), np.full(3, np.nan)).path == ""


def test_a_roc_curve_is_that_of_the_metrics():
    table, _ = predictions(("a", "b"), cases=40)
    predicted = PredictionTable.from_table(table)
    chart = run_charts(predicted, None, {"auroc": {"a": {"value": 0.5, "low": 0.4, "high": 0.6}}}).roc[0]
    curve = class_curves(predicted.probabilities[:, 0], predicted.truth[:, 0], predicted.patients, resamples=2000).roc
    assert chart.note == "AUROC 0.500 (0.400 to 0.600)"
    assert chart.shapes[1] == band(chart.x, chart.y, curve.x, curve.low, curve.high)
    assert chart.shapes[2] == line(chart.x, chart.y, curve.x, curve.y, steps=True)
    assert f"sensitivity {curve.y[50]:.2f} at a false positive rate of 0.50" in chart.alt_text


def test_a_precision_recall_curve_shows_what_guessing_reaches():
    table, _ = predictions(("a", "b", "c"), cases=30)
    chart = run_charts(PredictionTable.from_table(table), None, {}).precision_recall[0]
    assert {y for _, y in points(chart.shapes[0].path)} == {round(y_of(chart.y, 1 / 3), 1)}


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_reliability_curve_is_that_of_the_metrics(multi_label):
    table, _ = predictions(("a", "b", "c"), cases=50, multi_label=multi_label)
    bins = {
        "0.6-0.7": {"cases": 4, "confidence": {"value": 0.65}, "accuracy": {"value": 0.5}},
        "0.3-0.4": {"cases": 16, "confidence": {"value": 0.35}, "accuracy": {"value": 0.25}},
    }
    chart = run_charts(PredictionTable.from_table(table), None, {"reliability": bins}).calibration
    assert chart is not None
    assert [dot.text for dot in chart.dots] == ["16 cases at 0.35: 0.25", "4 cases at 0.65: 0.50"]
    assert [(dot.x, dot.y) for dot in chart.dots] == [
        (x_of(chart.x, 0.35), y_of(chart.y, 0.25)),
        (x_of(chart.x, 0.65), y_of(chart.y, 0.5)),
    ]
    assert [dot.size for dot in chart.dots] == [10, 6.5]  # 3 and an area that is proportional to the cases
    assert len(points(chart.shapes[1].path)) == 2
    assert chart.y.label == ("fraction of labels present" if multi_label else "fraction of correct predictions")
    assert run_charts(PredictionTable.from_table(table), None, {}).calibration is None


def test_correct_and_truth_probability_follow_their_definitions():
    columns = {"case_id": list("abc"), "patient_id": list("abc"), "predicted": [0, 0, 1]}
    one = PredictionTable.from_table(
        pd.DataFrame(
            {**columns, "label": [0, 1, 1], "probability_x": [0.9, 0.8, 0.3], "probability_y": [0.1, 0.2, 0.7]}
        )
    )
    assert one.correct.tolist() == [True, False, True]
    assert one.truth_probability == pytest.approx([0.9, 0.2, 0.7])
    labels = {"label_x": [1, 0, np.nan], "label_y": [1, 0, np.nan]}
    multi_label = PredictionTable.from_table(
        pd.DataFrame({**columns, **labels, "probability_x": [0.9, 0.4, 0.3], "probability_y": [0.6, 0.7, 0.7]})
    )
    assert multi_label.correct.tolist() == [True, False, True]
    assert multi_label.truth_probability == pytest.approx([0.6, 0.3, 1.0])


def test_the_training_marks_its_best_epoch():
    losses, validation, rate = training_charts(history(4))
    assert [name for _, name in losses.names] == ["training classification loss", "validation classification loss"]
    assert validation.note == f"best epoch 2: {history()['valid_macro_auroc'].max():.3f}"
    assert rate.names == ()
    assert all(chart.shapes[0].kind == "guide" for chart in (losses, validation, rate))


@pytest.mark.parametrize("table", [pd.DataFrame(), pd.DataFrame({"epoch": [0]}), pd.DataFrame({"loss": [1.0]})])
def test_a_training_without_numbers_has_no_charts(table):
    assert training_charts(table) == ()
