import sys

import cv2
import numpy as np
import pandas as pd
import pytest

from ggcam.data.case import Region
from ggcam.report.plots import ComparisonCase, best_epoch, comparison, training_process


def history(epochs=12):
    rng = np.random.default_rng(0)
    columns = ["learning_rate"] + [
        f"{part}_{name}" for part in ("train", "valid") for name in ("classification", "guidance", "total")
    ]
    table = pd.DataFrame(rng.uniform(0.1, 1, size=(epochs, 7)), columns=columns).assign(epoch=np.arange(epochs))
    return table.assign(valid_macro_auroc=np.linspace(0.5, 0.8, epochs))


def case(name="case", gaze=True, shape=(64, 48)):
    rng = np.random.default_rng(1)
    return ComparisonCase(
        name=name,
        image=rng.integers(0, 256, size=shape, dtype=np.uint8),
        regions=(Region("f", "ellipse", 5, 5, 20, 30),),
        gaze=rng.random((8, 6)) if gaze else None,
        cam_without=rng.normal(size=(4, 3)),
        cam_with=rng.normal(size=(8, 6)),
        probability_without=0.3,
        probability_with=0.8,
    )


def test_the_training_picture_is_1280_pixels_wide_and_shows_something(tmp_path):
    training_process(history(), tmp_path / "t.png")
    image = cv2.imread(str(tmp_path / "t.png"))
    assert image.shape[1] == 1280
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 50


@pytest.mark.parametrize(
    "table",
    [
        history(1),
        history().drop(columns=[c for c in history() if "guidance" in c]),
        history()[["epoch", "valid_macro_auroc"]],
        history()[["epoch"]],
        history().assign(valid_macro_auroc=np.nan, learning_rate=0.0),
        history().assign(train_total=np.geomspace(1e-3, 1e25, 12), valid_total=-1.0),
        history().assign(train_total=np.nan, valid_guidance=[np.inf] + [1.0] * 11),
    ],
    ids=["one epoch", "no guidance", "no losses", "epochs alone", "no metric", "losses far apart", "not finite"],
)
def test_a_history_may_lack_what_it_likes(table, tmp_path):
    training_process(table, tmp_path / "t.png")
    assert cv2.imread(str(tmp_path / "t.png")) is not None


def test_without_guidance_the_classification_loss_is_drawn_once(tmp_path):
    plain = history().drop(columns=["train_guidance", "valid_guidance", "train_total", "valid_total"])
    zero = plain.assign(train_guidance=0.0, train_total=plain["train_classification"])
    for name, table in (("plain", plain), ("zero", zero), ("guided", history())):
        training_process(table, tmp_path / f"{name}.png")
    drawn = {name: (tmp_path / f"{name}.png").read_bytes() for name in ("plain", "zero", "guided")}
    assert drawn["plain"] == drawn["zero"] != drawn["guided"]


def test_the_best_epoch_is_the_highest_metric_or_the_lowest_loss():
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
        training_process(table, tmp_path / "t.png")


def test_the_comparison_has_four_different_panels_a_row_and_grows_with_the_rows(tmp_path):
    comparison([case()], tmp_path / "one.png", guidance="ggcam-cc")
    comparison([case(), case(gaze=False), case(shape=(40, 70))], tmp_path / "three.png")
    one, three = (cv2.imread(str(tmp_path / f"{name}.png")) for name in ("one", "three"))
    assert one.shape[1] == three.shape[1] == 1280
    assert three.shape[0] > 2 * one.shape[0]
    middle = one[one.shape[0] // 2]
    panels = [middle[i * 320 + 40 : i * 320 + 280] for i in range(4)]
    assert all(panel.std() > 5 for panel in panels)
    assert all(np.abs(a.astype(int) - b).mean() > 2 for a in panels for b in panels if a is not b)


def test_sixteen_bit_images_and_constant_cams_are_drawn(tmp_path):
    deep = case()
    object.__setattr__(deep, "image", deep.image.astype(np.uint16) * 257)
    object.__setattr__(deep, "cam_with", np.zeros((3, 3)))
    comparison([deep], tmp_path / "c.png")
    assert (tmp_path / "c.png").stat().st_size > 10_000


def test_a_comparison_of_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no cases"):
        comparison([], tmp_path / "c.png")


def test_no_figure_goes_through_pyplot(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # whoever imports it now fails
    training_process(history(), tmp_path / "t.png")
    comparison([case()], tmp_path / "c.png")
