"""The plot of a training run: learning rate, losses and validation metric over the epochs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from ggcam.report.figure import BLUE, GREEN, GREY, VERMILION, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOSS_COLOURS: Mapping[str, str] = {"classification": VERMILION, "guidance": GREEN, "total": BLUE}
"""Loss, in the columns `train_<loss>` and `valid_<loss>` of the history -> its colour."""


def save_training_plot(
    history: pd.DataFrame, out_png: Path, *, metric: str = "valid_macro_auroc", mode: Literal["max", "min"] = "max"
) -> None:
    """Draw learning rate, losses and validation metric over the epochs, mark the best epoch, and write a PNG file.

    Args:
        history: one row per epoch, as in a run's history.csv: "epoch" and any of "learning_rate", the metric, and
            "train_", "valid_" or "test_" followed by "classification", "guidance" or "total". Columns that are absent,
            empty or all zero are not drawn, nor is a total that equals the classification loss.
        out_png: file to write, 1280 px wide.
        metric: column that decides which epoch is best.
        mode: whether the highest or the lowest value is best.

    Raises:
        ValueError: the history has no rows or no column "epoch".
    """
    if "epoch" not in history or history.empty:
        raise ValueError(f"the history needs a column 'epoch' and at least one row, got {list(history)}")
    figure = new_figure(10, 8, left=0.1, right=0.76, bottom=0.06, top=0.99, hspace=0.06)
    rate, loss, score = figure.subplots(3, 1, sharex=True, height_ratios=[1, 2.2, 2.2])
    _plot_column(rate, history, "learning_rate", BLUE)
    _use_log_scale_if_wide(rate, ratio=5)
    rate.set_ylabel("learning rate")
    _plot_losses(loss, history)
    _plot_column(score, history, metric, BLUE)
    score.set_ylabel(column_label(metric))
    score.set_xlabel("epoch")
    score.xaxis.get_major_locator().set_params(integer=True)
    first, last = history["epoch"].min(), history["epoch"].max()
    beside = max(0.5, 0.05 * (last - first))
    score.set_xlim(first - beside, last + beside)
    best = best_epoch(history, metric, mode)
    if best is not None:
        for axes in (rate, loss, score):
            axes.axvline(best, color=GREY, linewidth=1, linestyle=":")
        height = history.loc[history["epoch"] == best, metric].iloc[-1]
        score.plot([best], [height], "o", color=VERMILION, label=f"best: epoch {best:g}, {height:.3f}")
    for axes in (loss, score):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    save_figure(figure, out_png)


def best_epoch(history: pd.DataFrame, metric: str, mode: Literal["max", "min"] = "max") -> float | None:
    """Return the epoch with the best value of a metric.

    Args:
        history: one row per epoch, with the column "epoch".
        metric: column that decides; it may be absent.
        mode: whether the highest or the lowest value is best.

    Returns:
        The first of the best epochs; None if the metric has no finite value.
    """
    values = _finite_values(history, metric)
    if values.empty:
        return None
    return float(history.at[values.idxmax() if mode == "max" else values.idxmin(), "epoch"])


def column_label(column: str) -> str:
    """Return the label of a column of history.csv, such as "validation macro AUROC" for "valid_macro_auroc".

    Args:
        column: name of the column.

    Returns:
        The label.
    """
    words = column.replace("valid_", "validation ").replace("train_", "training ").replace("_", " ")
    words = words.replace("auroc", "AUROC")
    return f"{words} loss" if words.endswith(tuple(LOSS_COLOURS)) else words


def _finite_values(history: pd.DataFrame, column: str) -> pd.Series:
    """Return the finite values of a column; none if it is absent."""
    values = pd.Series(history.get(column, []), dtype=float)
    return values.loc[np.isfinite(values.to_numpy())]


def _plot_losses(axes: Axes, history: pd.DataFrame) -> None:
    """Plot training losses as dashed lines, those of the split that decides on the best epoch as solid ones."""
    for part, name, linestyle in (("train", "training", "--"), ("valid", "validation", "-"), ("test", "test", "-")):
        classification = _finite_values(history, f"{part}_classification")
        for loss, colour in LOSS_COLOURS.items():
            values = _finite_values(history, f"{part}_{loss}")
            if values.any() and not (loss == "total" and values.equals(classification)):
                _plot_column(axes, history, f"{part}_{loss}", colour, f"{loss}, {name}", linestyle)
    # Learned loss weights can make the losses differ by orders of magnitude.
    _use_log_scale_if_wide(axes, ratio=1000)
    axes.set_ylabel("loss")


def _plot_column(
    axes: Axes, history: pd.DataFrame, column: str, colour: str, label: str | None = None, linestyle: str = "-"
) -> None:
    values = _finite_values(history, column)
    if len(values):
        epochs = history.loc[values.index, "epoch"]
        marker = "o" if len(values) < 3 else None
        axes.plot(epochs, values, color=colour, label=label, linestyle=linestyle, linewidth=1.5, marker=marker)
    axes.grid(visible=True, color="#e6e6e6", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _use_log_scale_if_wide(axes: Axes, ratio: float) -> None:
    """Make the y axis logarithmic if all values are positive and the largest exceeds the smallest by the ratio."""
    values = np.concatenate([np.zeros(0), *(np.asarray(line.get_ydata(), dtype=float) for line in axes.lines)])
    if len(values) and values.min() > 0 and values.max() > ratio * values.min():
        axes.set_yscale("log")
