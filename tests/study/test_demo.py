"""The demo from end to end, smaller than users see it, and what it does not overwrite."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import cv2
import pandas as pd
import pytest

from ggcam.errors import DataError
from ggcam.study.demo import DemoResult, run_demo


class Demo(NamedTuple):
    out: Path
    result: DemoResult
    steps: list[str]
    epochs: list[dict[str, float]]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    out, steps, epochs = tmp_path_factory.mktemp("demo") / "demo", [], []
    result = run_demo(out, cases=60, epochs=1, on_step=steps.append, on_epoch=epochs.append)
    return Demo(out, result, steps, epochs)


def test_it_ends_with_a_comparison_and_a_picture(demo):
    assert [line[:3] for line in demo.steps] == ["1/5", "2/5", "3/5", "4/5", "5/5"]
    assert [row["epoch"] for row in demo.epochs] == [0, 0]
    assert demo.result.picture == demo.out / "comparison.png"
    picture = cv2.imread(str(demo.result.picture))
    assert picture.shape[1] == 1280
    assert picture.std() > 10
    assert all(report.is_file() for report in demo.result.reports)
    assert len(pd.read_csv(demo.out / "predictions" / "predictions.csv")) == 6


def test_the_table_has_the_metrics_of_the_run_folders(demo):
    assert demo.result.table["guidance"].tolist() == ["none", "ggcam-cc"]
    for row in demo.result.table.to_dict("records"):
        metrics = json.loads((demo.out / "run" / row["guidance"] / "metrics.json").read_text())
        game = metrics["pointing_game"]["pneumonia"]
        assert row["macro_auroc"] == pytest.approx(metrics["macro_auroc"]["value"])
        assert row["accuracy"] == pytest.approx(metrics["accuracy"]["value"])
        assert (row["hit_rate"], row["chance"]) == pytest.approx((game["hit_rate"]["value"], game["chance"]["value"]))


def test_the_arms_are_paired(demo):
    predictions = [pd.read_parquet(demo.out / "run" / name / "predictions.parquet") for name in ("none", "ggcam-cc")]
    assert predictions[0]["case_id"].tolist() == predictions[1]["case_id"].tolist()
    assert predictions[0]["probability_pneumonia"].tolist() != predictions[1]["probability_pneumonia"].tolist()


def test_it_replaces_nothing_but_an_earlier_demo(demo, tmp_path):
    with pytest.raises(DataError, match="holds an earlier demo"):
        run_demo(demo.out)
    (tmp_path / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(DataError, match="exists and is not a demo"):
            run_demo(tmp_path, overwrite=overwrite)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="exists and is not a demo"):
        run_demo(tmp_path / "file", overwrite=True)
