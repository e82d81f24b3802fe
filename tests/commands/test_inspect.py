"""`ggcam inspect`: the table, the picture and the report, and the exit code with --strict."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from commands.calling import call, refusal


@pytest.fixture
def data(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "DATA"))


def use_one_patient(data: Path) -> None:
    """Give all cases the same patient."""
    pd.read_parquet(data / "cases.parquet").assign(patient_id="[p/1]").to_parquet(data / "cases.parquet")


def test_healthy_data_pass_a_strict_check(capsys, data: Path):
    called = call(capsys, "inspect", data, "--strict", "--per-class", 1)
    assert called.code == 0
    assert "0 errors, 0 warnings" in called.out
    assert "entropy of the gaze maps" in called.out
    assert cv2.imread(str(data.with_name("DATA-inspect.png"))).std() > 10
    assert data.with_name("DATA-inspect.html").read_text().startswith("<!DOCTYPE html>")


def test_an_error_gives_exit_code_1_only_with_strict(capsys, data: Path):
    use_one_patient(data)
    for flags, code in (((), 0), (("--strict",), 1)):
        called = call(capsys, "inspect", data, "--per-class", 1, *flags)
        assert called.code == code
        assert "1 errors" in called.out
        assert "[p/1]" in called.out  # brackets are not markup
        assert "hint: prepare again" in " ".join(called.out.replace("│", " ").split())
        assert data.with_name("DATA-inspect.html").is_file()


@pytest.mark.parametrize("out", ["new/mine.png", "new/mine.html"])
def test_out_names_picture_and_report(capsys, data: Path, out: str):
    assert call(capsys, "inspect", data, "--per-class", 1, "--out", data.with_name("x") / out).code == 0
    assert cv2.imread(str(data.with_name("x") / "new/mine.png")).std() > 10
    assert "<html" in (data.with_name("x") / "new/mine.html").read_text()


def test_a_damaged_image_is_refused(capsys, data: Path):
    next((data / "images").iterdir()).write_bytes(b"")
    assert "the prepared image is missing or damaged" in refusal(capsys, "inspect", data)


def test_a_gaze_file_needs_no_images(capsys, tmp_path: Path):
    rng = np.random.default_rng(0)
    entries = [
        {
            "image_id": f"1.2.{number}",
            "gaze_x": rng.uniform(0.1, 0.7, 9).tolist(),
            "gaze_y": rng.choice([0.25, 0.75], 9).tolist(),
            "time": [3] * 9,
        }
        for number in range(24)
    ]
    (tmp_path / "gaze.json").write_text(json.dumps(entries))
    called = call(capsys, "inspect", tmp_path / "gaze.json", "--per-class", 1)
    assert called.code == 0
    assert "24, 24 with gaze" in called.out
    assert call(capsys, "inspect", tmp_path / "gaze.json", "--out", tmp_path / "sheet.html").code == 0
    assert (tmp_path / "sheet.png").is_file()
    assert "where: " in refusal(capsys, "inspect", tmp_path / "gaze.json", "--per-class", 0)
    assert cv2.imread(str(tmp_path / "gaze-inspect.png")).std() > 10
    for entry in entries:
        entry["gaze_x"], entry["gaze_y"] = entry["gaze_y"], entry["gaze_x"]
    (tmp_path / "gaze.json").write_text(json.dumps(entries))
    message = refusal(capsys, "inspect", tmp_path / "gaze.json")
    assert "rows and columns are exchanged" in message
    assert "--axis-order column-first" in message


def test_real_gaze_is_shown_on_an_empty_frame(capsys, tmp_path: Path, real_data: Path):
    gaze = real_data / "siim_gaze" / "siim_acr_gaze_125.json"
    called = call(capsys, "inspect", gaze, "--out", tmp_path / "sheet.png")
    assert called.code == 0
    assert "5,286" in called.out
    assert cv2.imread(str(tmp_path / "sheet.png")).std() > 10


@pytest.mark.parametrize(
    ("spoil", "flags", "message"),
    [
        (lambda data: shutil.rmtree(data), (), "the prepared folder does not exist"),
        (lambda data: (data / "dataset.toml").unlink(), (), "not a prepared folder"),
        (lambda data: (data / "dataset.toml").write_text("x = "), (), "dataset.toml, end of document"),
        (lambda data: (data / "dataset.toml").write_text("schema_version = 99"), (), "written by another version"),
        (lambda data: (data / "cases.parquet").unlink(), (), "the table is missing"),
        (lambda data: (data / "cases.parquet").write_text("no table"), (), "not a Parquet table"),
        (lambda data: (data / "fixations.parquet").write_bytes(b""), (), "not a Parquet table"),
        (lambda data: next((data / "images").iterdir()).unlink(), (), "images are missing"),
        (lambda data: shutil.rmtree(data / "images"), (), "60 of 60 images are missing"),
        (lambda data: None, ("--per-class", "0"), "--per-class must be at least 1"),
        (lambda data: None, ("--out", "/dev/null/sheet.png"), "/dev/null"),
    ],
)
def test_a_damaged_prepared_folder_is_reported(capsys, data: Path, spoil, flags, message):
    spoil(data)
    assert message in refusal(capsys, "inspect", data, *flags)
