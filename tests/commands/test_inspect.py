"""`ggcam inspect`: the table, the picture and the page, and what --strict makes of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import pandas as pd
import pytest

from commands.calling import call, refused


@pytest.fixture
def data(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "DATA"))


def spoil(data: Path) -> None:
    """Every case is one patient's."""
    pd.read_parquet(data / "cases.parquet").assign(patient_id="[p/1]").to_parquet(data / "cases.parquet")


def test_healthy_data_pass_a_strict_check(capsys, data: Path):
    called = call(capsys, "inspect", data, "--strict", "--per-class", 1)
    assert called.code == 0
    assert "0 wrong, 0 to look at" in called.out
    assert "entropy of the gaze maps" in called.out
    assert cv2.imread(str(data.with_name("DATA-inspect.png"))) is not None
    assert data.with_name("DATA-inspect.html").read_text().startswith("<!DOCTYPE html>")


def test_only_strict_ends_with_1_when_something_is_wrong(capsys, data: Path):
    spoil(data)
    for flags, code in (((), 0), (("--strict",), 1)):
        called = call(capsys, "inspect", data, "--per-class", 1, *flags)
        assert called.code == code
        assert "1 wrong" in called.out
        assert "[p/1]" in called.out  # brackets are no markup
        assert "to do: prepare again" in " ".join(called.out.replace("│", " ").split())
        assert data.with_name("DATA-inspect.html").is_file()


@pytest.mark.parametrize("out", ["new/mine.png", "new/mine.html"])
def test_out_names_picture_and_page(capsys, data: Path, out: str):
    assert call(capsys, "inspect", data, "--per-class", 1, "--out", data.with_name("x") / out).code == 0
    assert cv2.imread(str(data.with_name("x") / "new/mine.png")) is not None
    assert "<html" in (data.with_name("x") / "new/mine.html").read_text()


def test_a_damaged_image_is_refused(capsys, data: Path):
    next((data / "images").iterdir()).write_bytes(b"")
    assert "a prepared image is damaged" in refused(capsys, "inspect", data)
