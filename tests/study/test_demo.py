"""The demo from end to end, smaller than users see it, and what it does not overwrite."""

from __future__ import annotations

from pathlib import Path

import cv2
import pandas as pd
import pytest

from ggcam.errors import DataError
from ggcam.study.demo import DemoResult, run_demo


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DemoResult, list[str]]:
    out, said = tmp_path_factory.mktemp("demo") / "demo", []
    return out, run_demo(out, say=said.append, cases=60, epochs=1), said


def test_it_ends_with_a_comparison_and_a_picture(demo):
    out, result, said = demo
    assert [line[:3] for line in said] == ["1/5", "2/5", "3/5", "4/5", "5/5"]
    assert [row[0] for row in result.rows] == ["none", "ggcam-cc"]
    assert all(len(row) == len(result.head) for row in result.rows)
    assert result.picture == out / "comparison.png"
    assert cv2.imread(str(result.picture)).shape[1] == 1280
    assert all(page.is_file() for page in result.pages)
    assert len(pd.read_csv(out / "predictions" / "predictions.csv")) == 6


def test_the_arms_are_paired(demo):
    out, _, _ = demo
    predictions = [pd.read_parquet(out / "run" / name / "predictions.parquet") for name in ("none", "ggcam-cc")]
    assert predictions[0]["case_id"].tolist() == predictions[1]["case_id"].tolist()


def test_it_leaves_alone_what_is_in_its_place(demo, tmp_path):
    with pytest.raises(DataError, match="there is an earlier demo"):
        run_demo(demo[0])
    (tmp_path / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(DataError, match="something in the demo's place"):
            run_demo(tmp_path, overwrite)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="something in the demo's place"):
        run_demo(tmp_path / "file", overwrite=True)
