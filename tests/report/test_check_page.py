"""The page of a data check: what it says, and that it needs nothing else."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggcam.data.checks.check import check_data
from ggcam.data.prepared import load_prepared
from ggcam.report.check_page import histogram, write_check_page
from ggcam.report.overlay import png_bytes
from report.page_fixtures import Page

SHEET = png_bytes(np.zeros((8, 8), np.uint8))


def written(root: Path) -> str:
    prepared = load_prepared(root)
    page = write_check_page(prepared, check_data(prepared), SHEET, root.with_name("new") / "page.html")
    return page.read_text(encoding="utf-8")


@pytest.fixture
def root(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "DATA"))


def test_healthy_data_are_well_and_need_no_network(prepared: Path, tmp_path: Path):
    root = Path(shutil.copytree(prepared, tmp_path / "DATA"))
    html = written(root)
    page = Page(html)
    assert "No errors or warnings" in page.words
    assert "22 checks, 0 errors, 0 warnings" in page.words
    assert "Hint" not in page.words
    assert page.count("img") == 4  # three of all cases together, and the contact sheet
    assert not re.search(r"https?://|@import|src=\"(?!data:)", html)


def test_what_is_wrong_comes_first_with_what_to_do(root: Path):
    cases = pd.read_parquet(root / "cases.parquet")
    shutil.copy(root / cases["image"].iloc[0], root / cases["image"].iloc[5])
    (root / "images" / "stray.png").touch()
    page = Page(written(root))
    levels = [attrs["class"].split()[1] for tag, attrs in page.tags if attrs.get("class", "").startswith("level")]
    assert levels == sorted(levels, key=["error", "warning", "ok"].index)
    assert levels[:3] == ["error", "warning", "ok"]
    assert "1 error" in page.words
    assert "Hint: remove the duplicates from the raw data" in page.words
    assert f"{cases['case_id'].iloc[0]}, {cases['case_id'].iloc[5]}" in page.words
    assert page.count("img") == 5


def test_images_that_look_wrong_are_shown_as_they_are(root: Path):
    path = sorted((root / "images").iterdir())[3]
    cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED) // 16)
    page = Page(written(root))
    assert "Images that look wrong" in page.words
    assert f"{path.stem}: few grey levels, nearly black" in page.words
    assert page.count("img") == 5


def test_without_gaze_there_are_no_histograms(root: Path):
    pd.read_parquet(root / "fixations.parquet").head(0).to_parquet(root / "fixations.parquet")
    pd.read_parquet(root / "cases.parquet").assign(has_gaze=False).to_parquet(root / "cases.parquet")
    page = Page(written(root))
    assert "Fixations per case" not in page.words
    assert page.count("img") == 2


def test_a_name_cannot_become_markup(root: Path):
    cases = pd.read_parquet(root / "cases.parquet")
    cases.assign(patient_id="<script>alert(1)</script>").to_parquet(root / "cases.parquet")
    page = Page(written(root))
    assert page.count("script") == 1  # page.js
    assert "<script>alert(1)</script>" in page.words


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=60), st.sampled_from([0, 2]))
def test_a_histogram_counts_every_value_once(values: list[float], digits: int):
    whole = np.array(values) if digits else np.rint(values)
    bars = histogram(whole, digits)
    assert sum(bar.count for bar in bars) == len(values)
    assert max(bar.share for bar in bars) == 1
    assert all(0 <= bar.share <= 1 for bar in bars)


def test_a_histogram_of_small_counts_has_a_bar_for_each():
    bars = histogram(np.array([0, 1, 1, 3]))
    assert [bar.count for bar in bars] == [1, 2, 1]
    assert [bar.label for bar in bars] == ["0 to 1", "1 to 2", "2 to more"]
    assert histogram(np.zeros(0)) == []
