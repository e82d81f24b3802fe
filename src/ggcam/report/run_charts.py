"""Charts of a run: ROC and precision-recall curves with confidence bands, calibration, and training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from ggcam.metrics.curves import CurveBand, class_curves
from ggcam.metrics.intervals import RESAMPLES
from ggcam.report.cases import PredictionTable
from ggcam.report.charts import Axis, Chart, Dot, Shape, band, line, x_of, y_of
from ggcam.report.training_plot import best_epoch, column_label

LOSSES = tuple(f"{split}_{loss}" for loss in ("classification", "guidance") for split in ("train", "valid", "test"))
"""Columns of history.csv that are drawn in one chart."""


@dataclass(frozen=True)
class RunCharts:
    """Charts of a run; `roc` and `precision_recall` have one per class."""

    roc: tuple[Chart, ...] = ()
    precision_recall: tuple[Chart, ...] = ()
    calibration: Chart | None = None
    training: tuple[Chart, ...] = ()


def run_charts(
    predicted: PredictionTable | None,
    history: pd.DataFrame | None,
    metrics: Mapping[str, Any],
    monitored: str = "valid_macro_auroc",
    mode: Literal["max", "min"] = "max",
) -> RunCharts:
    """Build the charts of a run.

    Args:
        predicted: predictions of the evaluated cases; None for training charts only. Classes without positive or
            without negative cases have no curves. The bands rest on the same resamples as metrics.json.
        history: content of history.csv; None to leave out the training charts.
        metrics: content of metrics.json, whose areas and reliability curve are drawn.
        monitored: column of the history that decides which epoch is best.
        mode: whether its highest or its lowest value is best.

    Returns:
        The charts.
    """
    training = training_charts(history, monitored, mode) if history is not None else ()
    if predicted is None or not len(predicted.truth):
        return RunCharts(training=training)
    roc: list[Chart] = []
    precision_recall: list[Chart] = []
    for k, name in enumerate(predicted.class_names):
        scores, truth = predicted.probabilities[:, k], predicted.truth[:, k]
        if not (truth == 1).any() or not (truth == 0).any():
            continue
        curves = class_curves(scores, truth, predicted.patients, resamples=RESAMPLES)
        roc.append(_roc(name, curves.roc, metrics))
        precision_recall.append(_precision_recall(name, curves.precision_recall, float(np.nanmean(truth)), metrics))
    reliability = metrics.get("reliability")
    calibration = _calibration(reliability, predicted.multi_label) if reliability else None
    return RunCharts(tuple(roc), tuple(precision_recall), calibration, training)


def _roc(name: str, curve: CurveBand, metrics: Mapping[str, Any]) -> Chart:
    x, y = Axis.zero_to_one("1 − specificity"), Axis.zero_to_one("sensitivity")
    ends = np.array([0.0, 1.0])
    return Chart(
        title=name,
        note=_area(metrics, "auroc", name, "AUROC"),
        alt_text=f"ROC curve of {name}: " + _points(curve, "sensitivity", "at a false positive rate of"),
        x=x,
        y=y,
        shapes=(
            line(x, y, ends, ends, kind="guide"),
            band(x, y, curve.x, curve.low, curve.high),
            line(x, y, curve.x, curve.y, steps=True),
        ),
    )


def _precision_recall(name: str, curve: CurveBand, prevalence: float, metrics: Mapping[str, Any]) -> Chart:
    x, y = Axis.zero_to_one("recall (sensitivity)"), Axis.zero_to_one("precision")
    return Chart(
        title=name,
        note=_area(metrics, "auprc", name, "AUPRC"),
        alt_text=f"Precision-recall curve of {name}: " + _points(curve, "precision", "at a recall of"),
        x=x,
        y=y,
        shapes=(
            line(x, y, np.array([0.0, 1.0]), np.array([prevalence, prevalence]), kind="guide"),
            band(x, y, curve.x, curve.low, curve.high),
            line(x, y, curve.x, curve.y),
        ),
    )


def _area(metrics: Mapping[str, Any], metric: str, class_name: str, label: str) -> str:
    area = metrics.get(metric, {}).get(class_name, {})
    if area.get("value") is None:
        return ""
    low, high = area.get("low"), area.get("high")
    return f"{label} {area['value']:.3f}" + (f" ({low:.3f} to {high:.3f})" if None not in (low, high) else "")


def _points(curve: CurveBand, y_name: str, x_name: str) -> str:
    """Describe four points of a curve in words."""
    points = [(curve.x[i], curve.y[i]) for i in (10, 25, 50, 75) if np.isfinite(curve.y[i])]
    return "; ".join(f"{y_name} {y:.2f} {x_name} {x:.2f}" for x, y in points)


def _calibration(reliability: Mapping[str, Any], multi_label: bool) -> Chart:
    """Draw the reliability curve of metrics.json, with a dot per bin."""
    bins = sorted(reliability.values(), key=lambda each: each["confidence"]["value"])
    most = max(each["cases"] for each in bins)
    x = Axis.zero_to_one("predicted probability" if multi_label else "probability of the predicted class")
    y = Axis.zero_to_one("fraction of labels present" if multi_label else "fraction of correct predictions")
    dots = tuple(
        Dot(
            0,
            x_of(x, each["confidence"]["value"]),
            y_of(y, each["accuracy"]["value"]),
            3 + 7 * (each["cases"] / most) ** 0.5,
            f"{each['cases']} cases at {each['confidence']['value']:.2f}: {each['accuracy']['value']:.2f}",
        )
        for each in bins
    )
    ends = np.array([0.0, 1.0])
    confidence, accuracy = (np.array([each[name]["value"] for each in bins]) for name in ("confidence", "accuracy"))
    return Chart(
        title="Reliability",
        note="",
        alt_text="Reliability curve: " + "; ".join(dot.text for dot in dots),
        x=x,
        y=y,
        shapes=(line(x, y, ends, ends, kind="guide"), line(x, y, confidence, accuracy)),
        dots=dots,
    )


def training_charts(
    history: pd.DataFrame, monitored: str = "valid_macro_auroc", mode: Literal["max", "min"] = "max"
) -> tuple[Chart, ...]:
    """Build charts of the losses, the validation metrics and the learning rate, with the best epoch marked.

    Args:
        history: content of history.csv, one row per epoch.
        monitored: column that decides which epoch is best.
        mode: whether its highest or its lowest value is best.

    Returns:
        The charts for which there are columns; none without epochs.
    """
    if "epoch" not in history or history.empty:
        return ()
    best = best_epoch(history, monitored, mode) if monitored in history else None
    groups = (
        ("Losses", LOSSES, "loss"),
        ("Validation", ("valid_macro_auroc", "valid_accuracy"), "value"),
        ("Test cases, which decide on the best epoch", ("test_macro_auroc", "test_accuracy"), "value"),
        ("Learning rate", ("learning_rate",), ""),
    )
    charts = (_epoch_chart(history, title, columns, label, best) for title, columns, label in groups)
    return tuple(chart for chart in charts if chart is not None)


def _epoch_chart(
    history: pd.DataFrame, title: str, columns: tuple[str, ...], label: str, best: float | None
) -> Chart | None:
    values = {name: history[name].to_numpy(np.float64) for name in columns if name in history}
    values = {name: each for name, each in values.items() if np.nan_to_num(each).any()}
    if not values:
        return None
    epochs = history["epoch"].to_numpy(np.float64)
    x = Axis.around("epoch", epochs, integers=True, pad=0.02)
    y = Axis.around(label, np.concatenate(list(values.values())))
    shapes: list[Shape] = [line(x, y, epochs, each, style) for style, each in enumerate(values.values())]
    note = ""
    if best is not None:
        shapes.insert(0, line(x, y, np.array([best, best]), np.array([y.low, y.high]), kind="guide"))
        at_best = next(iter(values.values()))[epochs == best][-1]
        note = f"best epoch {best:g}: {at_best:.3f}" if title == "Validation" else ""
    return Chart(
        title=title,
        note=note,
        alt_text=f"{title} over the epochs: "
        + "; ".join(f"{column_label(name)} from {each[0]:.3g} to {each[-1]:.3g}" for name, each in values.items()),
        x=x,
        y=y,
        shapes=tuple(shapes),
        names=tuple((style, column_label(name)) for style, name in enumerate(values)) if len(values) > 1 else (),
    )
