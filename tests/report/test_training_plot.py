"""The plot of a training run: which lines are drawn, where, and which epoch is marked."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from ggcam.report import training_plot
from ggcam.report.figure import BLUE, GREEN, GREY, VERMILION
from ggcam.report.training_plot import best_epoch, column_label, save_training_plot


def history(epochs: int = 12) -> pd.DataFrame:
    epoch = np.arange(epochs)
    falling = np.exp(-epoch / 5)
    return pd.DataFrame(
        {
            "epoch": epoch,
            "learning_rate": 1e-3 * falling,
            **{f"{part}_{loss}": falling + i for i, loss in enumerate(("classification", "guidance", "total"))
               for part in ("train", "valid")},
            "valid_macro_auroc": 0.5 + 0.4 * np.sin(epoch / 4),
        }
    )  # fmt: skip


def figure_of(table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **options: str) -> Figure:
    """The figure that would be written."""
    kept: list[Figure] = []
    monkeypatch.setattr(training_plot, "save_figure", lambda figure, _: kept.append(figure))
    save_training_plot(table, tmp_path / "t.png", **options)
    return kept[0]


def test_the_lines_are_the_columns_of_the_history(monkeypatch, tmp_path):
    table = history()
    rate, loss, score = figure_of(table, monkeypatch, tmp_path).axes
    np.testing.assert_array_equal(rate.lines[0].get_ydata(), table["learning_rate"])
    drawn = {line.get_label(): line for line in loss.lines if not str(line.get_label()).startswith("_")}
    assert len(drawn) == 6
    for part, name, style in (("train", "training", "--"), ("valid", "validation", "-")):
        for kind, colour in (("classification", VERMILION), ("guidance", GREEN), ("total", BLUE)):
            line = drawn[f"{kind}, {name}"]
            np.testing.assert_array_equal(line.get_ydata(), table[f"{part}_{kind}"])
            assert (line.get_color(), line.get_linestyle()) == (colour, style)
    np.testing.assert_array_equal(score.lines[0].get_ydata(), table["valid_macro_auroc"])
    assert score.get_ylabel() == "validation macro AUROC"


def test_the_best_epoch_is_marked_on_every_axis(monkeypatch, tmp_path):
    table = history()
    best = int(table["valid_macro_auroc"].idxmax())
    figure = figure_of(table, monkeypatch, tmp_path)
    for axes in figure.axes:
        (marked,) = [line for line in axes.lines if line.get_color() == GREY]
        assert list(np.asarray(marked.get_xdata())) == [best, best]
    label = figure.axes[2].lines[-1].get_label()
    assert label == f"best: epoch {best}, {table['valid_macro_auroc'].max():.3f}"


def test_the_file_is_1280_pixels_wide_and_holds_the_colours_of_its_lines(tmp_path):
    save_training_plot(history(), tmp_path / "new" / "t.png")
    drawn = cv2.imread(str(tmp_path / "new" / "t.png"))[:, :, ::-1].astype(int)
    assert drawn.shape == (1024, 1280, 3)
    for colour in (BLUE, VERMILION, GREEN):
        distance = np.abs(drawn - 255 * np.array(to_rgb(colour))).sum(axis=2)
        rows, columns = np.nonzero(distance < 6)
        assert len(rows) > 200
        assert np.ptp(columns) > 400  # it crosses the plot
    assert (drawn == 255).all(axis=2).mean() > 0.8


@pytest.mark.parametrize(
    ("table", "lines"),
    [
        (history(1), (1, 6, 1)),
        (history().drop(columns=[name for name in history() if "guidance" in name]), (1, 4, 1)),
        (history()[["epoch", "valid_macro_auroc"]], (0, 0, 1)),
        (history()[["epoch"]], (0, 0, 0)),
        (history().assign(valid_macro_auroc=np.nan, learning_rate=0.0), (1, 6, 0)),
        (history().assign(train_total=np.nan, valid_guidance=[np.inf] + [1.0] * 11), (1, 5, 1)),
    ],
    ids=["one epoch", "no guidance", "no losses", "epochs alone", "no metric", "not finite"],
)
def test_missing_columns_are_not_drawn(table, lines, monkeypatch, tmp_path):
    figure = figure_of(table, monkeypatch, tmp_path)
    drawn = [
        [line for line in axes.lines if line.get_color() != GREY and not str(line.get_label()).startswith("best")]
        for axes in figure.axes
    ]
    assert tuple(map(len, drawn)) == lines
    figure.draw_without_rendering()


@pytest.mark.parametrize("monitored", ["valid_macro_auroc", "valid_classification", "test_total"])
@pytest.mark.parametrize("rate", [1e-3, 2e-5, 0.000975])
def test_all_text_is_inside_the_picture(monitored, rate, monkeypatch, tmp_path):
    table = history(2).assign(learning_rate=[rate, rate / 6], test_total=1.0)
    figure = figure_of(table, monkeypatch, tmp_path, metric=monitored, mode="min")
    figure.draw_without_rendering()
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert box is not None
        assert box.x0 > 0
        assert box.x1 < 1280
        assert box.y0 > 0


def test_losses_of_different_magnitude_have_a_logarithmic_axis(monkeypatch, tmp_path):
    assert figure_of(history(), monkeypatch, tmp_path).axes[1].get_yscale() == "linear"
    wide = history().assign(train_total=np.geomspace(1e-3, 1e25, 12))
    assert figure_of(wide, monkeypatch, tmp_path).axes[1].get_yscale() == "log"
    negative = wide.assign(valid_total=-1.0)
    assert figure_of(negative, monkeypatch, tmp_path).axes[1].get_yscale() == "linear"


def test_without_guidance_the_classification_loss_is_drawn_once(tmp_path):
    plain = history().drop(columns=["train_guidance", "valid_guidance", "train_total", "valid_total"])
    zero = plain.assign(train_guidance=0.0, train_total=plain["train_classification"])
    for name, table in (("plain", plain), ("zero", zero), ("guided", history())):
        save_training_plot(table, tmp_path / f"{name}.png")
    drawn = {name: (tmp_path / f"{name}.png").read_bytes() for name in ("plain", "zero", "guided")}
    assert drawn["plain"] == drawn["zero"] != drawn["guided"]


def test_the_best_epoch_has_the_highest_metric_or_the_lowest_loss():
    table = pd.DataFrame(
        {
            "epoch": [0, 1, 2, 3],
            "valid_macro_auroc": [0.5, 0.7, np.nan, 0.7],
            "valid_classification": [3.0, 2, 1, np.inf],
        }
    )
    assert best_epoch(table, "valid_macro_auroc") == 1
    assert best_epoch(table, "valid_classification", "min") == 2
    assert best_epoch(table, "absent") is None


@pytest.mark.parametrize("table", [pd.DataFrame(), pd.DataFrame({"step": [1]}), history(0)])
def test_a_history_without_epochs_is_refused(table, tmp_path):
    with pytest.raises(ValueError, match="'epoch' and at least one row"):
        save_training_plot(table, tmp_path / "t.png")


def test_columns_have_labels():
    labels = [column_label(name) for name in ("valid_macro_auroc", "train_guidance", "learning_rate")]
    assert labels == ["validation macro AUROC", "training guidance loss", "learning rate"]
