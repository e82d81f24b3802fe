"""Figures of a training and of a comparison, as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from ggcam.data.case import Affine, Region
from ggcam.report.overlay import SKY, cam_overlay, draw_regions, enlarged, to_rgb

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 128
"""Dots per inch of every figure; ten inches are 1280 pixels."""

# Okabe and Ito's palette, which the colour-blind tell apart.
BLUE, VERMILION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#595959"

LOSS_COLOURS: Mapping[str, str] = {"classification": VERMILION, "guidance": GREEN, "total": BLUE}
"""A history's losses, each as `train_<loss>` and `valid_<loss>` -> its colour."""


def training_process(
    history: pd.DataFrame, out_png: Path, *, metric: str = "valid_macro_auroc", mode: Literal["max", "min"] = "max"
) -> None:
    """Draw learning rate, losses and validation metric over the epochs, with the best epoch marked.

    Args:
        history: one row an epoch, as in a run's history.csv: "epoch" and any of "learning_rate", the metric, and
            "train_" or "valid_" followed by "classification", "guidance" or "total". Columns that are absent, empty
            or zero throughout are not drawn, nor is a total that is the classification loss alone.
        out_png: where to write, 1280 px wide.
        metric: column that decided which epoch is best.
        mode: whether its highest or its lowest value is best.

    Raises:
        ValueError: the history has no row or no "epoch".
    """
    if "epoch" not in history or history.empty:
        raise ValueError(f"a history needs the column 'epoch' and at least one row, got {list(history)}")
    figure = empty_figure(10, 8)
    rate, loss, score = figure.subplots(3, 1, sharex=True, height_ratios=[1, 2.2, 2.2])
    _line(rate, history, "learning_rate", BLUE, "learning rate")
    _log_scale_if_wide(rate, ratio=5)
    rate.set_ylabel("learning rate")
    _draw_losses(loss, history)
    _line(score, history, metric, BLUE, _words(metric))
    score.set_ylabel(_words(metric))
    score.set_xlabel("epoch")
    score.xaxis.get_major_locator().set_params(integer=True)
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
    """The epoch in which the metric is best, the first among equals; None when the metric has no value."""
    values = _known(history, metric)
    if values.empty:
        return None
    return float(history.at[values.idxmax() if mode == "max" else values.idxmin(), "epoch"])


@dataclass(frozen=True, eq=False)
class ComparisonCase:
    """One case as two models see it.

    Attributes:
        name: what the row is called, such as "p10012: pneumonia".
        image: shape (H, W), uint8 or uint16.
        regions: of the finding, in pixels of the image.
        gaze: attention map of the reader on a grid over the image; None without gaze.
        cam_without: CAM of the true class of the model without guidance, on a grid over the image.
        cam_with: the same of the model with guidance.
        probability_without: of the true class, 0 to 1.
        probability_with: the same with guidance.
    """

    name: str
    image: np.ndarray
    regions: tuple[Region, ...]
    gaze: Float[np.ndarray, "h w"] | None
    cam_without: Float[np.ndarray, "g v"]
    cam_with: Float[np.ndarray, "p q"]
    probability_without: float
    probability_with: float


def comparison(cases: Sequence[ComparisonCase], out_png: Path, *, guidance: str = "guidance") -> None:
    """Draw a row a case: image with the finding outlined, gaze, CAM without and CAM with guidance; 1280 px wide.

    Args:
        cases: at least one.
        out_png: where to write.
        guidance: name of the guidance, for the title of the last column.

    Raises:
        ValueError: no cases.
    """
    if not cases:
        raise ValueError("there are no cases to compare")
    tallest = max(case.image.shape[0] / case.image.shape[1] for case in cases)
    figure = empty_figure(10, 0.6 + len(cases) * (2.42 * tallest + 0.28))
    grid = figure.subplots(len(cases), 4, squeeze=False)
    for row, case in zip(grid, cases, strict=True):
        image, regions = _large(case)
        panels = [to_rgb(image), *(_laid(image, values) for values in (case.gaze, case.cam_without, case.cam_with))]
        captions = [
            case.name,
            "" if case.gaze is not None else "no gaze recorded",
            f"p = {case.probability_without:.2f}",
            f"p = {case.probability_with:.2f}",
        ]
        for axes, panel, caption in zip(row, panels, captions, strict=True):
            axes.imshow(draw_regions(panel, regions, SKY), interpolation="antialiased")
            axes.set_axis_off()
            axes.set_title(caption, fontsize=10, loc="left", color=GREY, pad=3)
    for axes, title in zip(grid[0], ["Image", "Gaze", "CAM, no guidance", f"CAM, {guidance}"], strict=True):
        axes.annotate(
            title, (0, 1), (0, 19), xycoords="axes fraction", textcoords="offset points", fontsize=13, weight="bold"
        )
    figure.supxlabel(
        "CAMs of the true class; p: its predicted probability; outlined: the finding. For research use.",
        fontsize=9,
        color=GREY,
    )
    save_figure(figure, out_png)


def _large(case: ComparisonCase) -> tuple[np.ndarray, list[Region]]:
    """The case's image and regions, enlarged until a line of a pixel is fine."""
    image = enlarged(case.image, 384)
    scale = image.shape[0] / case.image.shape[0]
    return image, [region.moved(Affine(scale_x=scale, scale_y=scale)) for region in case.regions]


def _laid(image: np.ndarray, values: np.ndarray | None) -> np.ndarray:
    """The image with a map over it, or as it is where there is none."""
    return to_rgb(image) if values is None else cam_overlay(image, values)


def empty_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure that belongs to no window and to no global list."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(h_pad=0.03, w_pad=0.03, hspace=0.01, wspace=0)
    figure = Figure(figsize=(width_in, height_in), dpi=DPI, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, out_png: Path) -> None:
    """Write the figure as PNG; the same figure gives the same bytes."""
    figure.savefig(out_png, format="png", metadata={"Software": None})


def _known(history: pd.DataFrame, column: str) -> pd.Series:
    """The finite values of a column, none when it is absent."""
    values = pd.Series(history.get(column, []), dtype=float)
    return values.loc[np.isfinite(values.to_numpy())]


def _draw_losses(axes: Axes, history: pd.DataFrame) -> None:
    """Draw training and validation losses: broken and whole lines of one colour a loss."""
    for part, name, linestyle in (("train", "training", "--"), ("valid", "validation", "-")):
        classification = _known(history, f"{part}_classification")
        for loss, colour in LOSS_COLOURS.items():
            values = _known(history, f"{part}_{loss}")
            if values.any() and not (loss == "total" and values.equals(classification)):
                _line(axes, history, f"{part}_{loss}", colour, f"{loss}, {name}", linestyle)
    # Weights that are learned can carry the losses far apart.
    _log_scale_if_wide(axes, ratio=1000)
    axes.set_ylabel("loss")


def _line(axes: Axes, history: pd.DataFrame, column: str, colour: str, label: str, linestyle: str = "-") -> None:
    """Draw a column over the epochs where it has values; nothing when it has none."""
    values = _known(history, column)
    if len(values):
        epochs = history.loc[values.index, "epoch"]
        marker = "o" if len(values) < 3 else None
        axes.plot(epochs, values, color=colour, label=label, linestyle=linestyle, linewidth=1.5, marker=marker)
    axes.grid(visible=True, color="#e6e6e6", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _log_scale_if_wide(axes: Axes, ratio: float) -> None:
    """Make the upward axis logarithmic when all that is drawn is positive and spans such a ratio."""
    values = np.concatenate([np.zeros(0), *(np.asarray(line.get_ydata(), dtype=float) for line in axes.lines)])
    if len(values) and values.min() > 0 and values.max() > ratio * values.min():
        axes.set_yscale("log")


def _words(column: str) -> str:
    """A column's name for people: validation macro AUROC for `valid_macro_auroc`."""
    words = column.replace("valid_", "validation ").replace("_", " ").replace("auroc", "AUROC")
    return f"{words} loss" if words.endswith(tuple(LOSS_COLOURS)) else words
