"""The charts of a run: ROC and precision-recall curves with their bands, calibration, and the training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ggcam.metrics.calibration import reliability_curve, top_label
from ggcam.metrics.curves import CurveBand, precision_recall_band, roc_band
from ggcam.report.cases import PredictionTable
from ggcam.report.charts import Axis, Chart, Dot, Shape, band, line, x_of, y_of
from ggcam.report.plots import best_epoch

RESAMPLES = 500
"""Of patients, behind each band."""

LOSSES = ("train_classification", "valid_classification", "train_guidance", "valid_guidance")
"""Columns of history.csv that are drawn together."""


@dataclass(frozen=True)
class RunCharts:
    """The charts of a run; one a class of `roc` and of `precision_recall`."""

    roc: tuple[Chart, ...] = ()
    precision_recall: tuple[Chart, ...] = ()
    calibration: Chart | None = None
    training: tuple[Chart, ...] = ()


def run_charts(
    predicted: PredictionTable | None, history: pd.DataFrame | None, metrics: Mapping[str, Any]
) -> RunCharts:
    """All charts for which there are numbers; a class without both kinds of cases has no curves."""
    training = training_charts(history) if history is not None else ()
    if predicted is None or not len(predicted.truth):
        return RunCharts(training=training)
    roc: list[Chart] = []
    precision_recall: list[Chart] = []
    for k, name in enumerate(predicted.class_names):
        known = np.isfinite(predicted.truth[:, k])
        positive = predicted.truth[known, k] == 1
        if positive.all() or not positive.any():
            continue
        of_class = (predicted.probabilities[known, k], positive, predicted.patients[known])
        roc.append(_roc(name, roc_band(*of_class, resamples=RESAMPLES), metrics))
        curve = precision_recall_band(*of_class, resamples=RESAMPLES)
        precision_recall.append(_precision_recall(name, curve, float(positive.mean()), metrics))
    return RunCharts(tuple(roc), tuple(precision_recall), _calibration(predicted), training)


def _roc(name: str, curve: CurveBand, metrics: Mapping[str, Any]) -> Chart:
    x, y = Axis.share("1 − specificity"), Axis.share("sensitivity")
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


def _precision_recall(name: str, curve: CurveBand, share: float, metrics: Mapping[str, Any]) -> Chart:
    x, y = Axis.share("recall (sensitivity)"), Axis.share("precision")
    return Chart(
        title=name,
        note=_area(metrics, "auprc", name, "AUPRC"),
        alt_text=f"Precision-recall curve of {name}: " + _points(curve, "precision", "at a recall of"),
        x=x,
        y=y,
        shapes=(
            line(x, y, np.array([0.0, 1.0]), np.array([share, share]), kind="guide"),
            band(x, y, curve.x, curve.low, curve.high),
            line(x, y, curve.x, curve.y),
        ),
    )


def _area(metrics: Mapping[str, Any], metric: str, name: str, words: str) -> str:
    found = metrics.get(metric, {}).get(name, {})
    if found.get("value") is None:
        return ""
    low, high = found.get("low"), found.get("high")
    return f"{words} {found['value']:.3f}" + (f" ({low:.3f} to {high:.3f})" if None not in (low, high) else "")


def _points(curve: CurveBand, what: str, where: str) -> str:
    chosen = [(curve.x[i], curve.y[i]) for i in (10, 25, 50, 75) if np.isfinite(curve.y[i])]
    return "; ".join(f"{what} {y:.2f} {where} {x:.2f}" for x, y in chosen)


def _calibration(predicted: PredictionTable) -> Chart:
    """Confidence against how often it is right: of the predicted class; of several labels, of every known entry."""
    if predicted.several:
        known = np.isfinite(predicted.truth)
        confidence, right = predicted.probabilities[known], predicted.truth[known] == 1
        x, y = Axis.share("predicted probability"), Axis.share("share that is present")
    else:
        confidence, right = top_label(predicted.probabilities, predicted.truth.argmax(axis=1))
        x, y = Axis.share("probability of the predicted class"), Axis.share("share that is right")
    curve = reliability_curve(np.minimum(confidence, 1), right)
    filled = np.flatnonzero(curve.cases)
    middle, share, cases = curve.confidence[filled], curve.accuracy[filled], curve.cases[filled]
    dots = tuple(
        Dot(0, x_of(x, a), y_of(y, b), 3 + 7 * float(np.sqrt(n / cases.max())), f"{n} at {a:.2f}: {b:.2f}")
        for a, b, n in zip(middle.tolist(), share.tolist(), cases.tolist(), strict=True)
    )
    ends = np.array([0.0, 1.0])
    return Chart(
        title="Reliability",
        note="",
        alt_text="Reliability curve: " + "; ".join(dot.text for dot in dots),
        x=x,
        y=y,
        shapes=(line(x, y, ends, ends, kind="guide"), line(x, y, middle, share)),
        dots=dots,
    )


def training_charts(history: pd.DataFrame) -> tuple[Chart, ...]:
    """Losses, validation metric and learning rate over the epochs, the best epoch marked."""
    if "epoch" not in history or history.empty:
        return ()
    best = best_epoch(history, "valid_macro_auroc") if "valid_macro_auroc" in history else None
    drawn = (
        ("Losses", LOSSES, "loss"),
        ("Validation", ("valid_macro_auroc", "valid_accuracy"), "share"),
        ("Learning rate", ("learning_rate",), ""),
    )
    charts = (_over_epochs(history, title, columns, label, best) for title, columns, label in drawn)
    return tuple(chart for chart in charts if chart is not None)


def _over_epochs(
    history: pd.DataFrame, title: str, columns: tuple[str, ...], label: str, best: float | None
) -> Chart | None:
    values = {name: history[name].to_numpy(np.float64) for name in columns if name in history}
    values = {name: each for name, each in values.items() if np.nan_to_num(each).any()}
    if not values:
        return None
    epochs = history["epoch"].to_numpy(np.float64)
    x = Axis.around("epoch", epochs, whole=True, pad=0.02)
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
        + "; ".join(f"{_words(name)} from {each[0]:.3g} to {each[-1]:.3g}" for name, each in values.items()),
        x=x,
        y=y,
        shapes=tuple(shapes),
        names=tuple((style, _words(name)) for style, name in enumerate(values)) if len(values) > 1 else (),
    )


def _words(column: str) -> str:
    words = column.replace("valid_", "validation ").replace("train_", "training ").replace("_", " ")
    return words.replace("macro auroc", "macro AUROC")
