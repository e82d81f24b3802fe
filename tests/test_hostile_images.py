"""Commands answer for the good images of a folder, whatever else lies there."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import pandas as pd

from commands.calling import call, refusal
from ggcam.data.prepared import load_prepared
from hostile_images import PIXELS, write_hostile_images

SHARED = Path(__file__).parents[2] / "shared" / "cases" / "hostile"


def fill(folder: Path) -> set[str]:
    """Write good and hostile images, and return the names of the hostile ones."""
    hostile = set(write_hostile_images(folder))
    for path in SHARED.glob("*.dcm") if SHARED.is_dir() else ():
        shutil.copy(path, folder)
        hostile.add(path.name)
    for name in ("a.png", "z.png"):
        assert cv2.imwrite(str(folder / name), PIXELS)
    return hostile


def test_predict_names_hostile_files_and_answers_the_others(capfd, trained, tmp_path):
    hostile = fill(tmp_path / "in")
    called = call(capfd, "predict", trained, tmp_path / "in", "--out", tmp_path / "out")
    assert called.code == 1
    assert "Traceback" not in called.err
    assert "fault of the program" not in called.err
    assert "panicked" not in called.err  # capfd sees what libraries in C and Rust write, too
    predictions = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert [Path(path).name for path in predictions["image"]] == ["a.png", "z.png"]
    errors = pd.read_csv(tmp_path / "out" / "errors.csv")
    assert {Path(path).name for path in errors["image"]} == hostile
    assert f"{len(hostile)} images could not be read" in called.err


def test_prepare_names_hostile_files_and_can_leave_them_out(capsys, tmp_path):
    hostile = fill(tmp_path / "in" / "ill")
    for number in range(12):
        (tmp_path / "in" / "healthy").mkdir(exist_ok=True)
        assert cv2.imwrite(str(tmp_path / "in" / "healthy" / f"h{number}.png"), PIXELS)
        assert cv2.imwrite(str(tmp_path / "in" / "ill" / f"i{number}.png"), PIXELS)
    arguments = ("prepare", tmp_path / "in", tmp_path / "out", "--size", "32x32")
    message = refusal(capsys, *arguments)
    assert f"{len(hostile)} of " in message
    errors = pd.read_csv(next((tmp_path / "out.partial").glob("*.csv")))
    assert len(errors) == len(hostile)
    called = call(capsys, *arguments, "--skip-missing")
    assert called.code == 0, called.err
    assert len(load_prepared(tmp_path / "out")) == 26
