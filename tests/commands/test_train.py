"""`ggcam train`, `evaluate` and `report`: what they print, and what they refuse."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from commands.calling import call, refused
from ggcam.run_folder import open_run_folder

TINY = ("--backbone", "test_resnet", "--batch-size", "8", "--epochs", "1")


def test_training_prints_each_epoch_and_the_evaluation(capsys, prepared, tmp_path):
    called = call(capsys, "train", prepared, *TINY, "--out", tmp_path, "--name", "mine", "--seed", 3)
    assert called.code == 0
    assert "epoch 0: loss" in called.out
    for line in ("macro AUROC", "CAM peaks on the finding, pneumonia", "12 cases", f"run folder: {tmp_path / 'mine'}"):
        assert line in called.out
    # Its config trains the same network again.
    again = call(capsys, "train", "--config", tmp_path / "mine" / "config.toml", "--out", tmp_path, "--name", "again")
    assert again.code == 0
    first, second = (
        pd.read_csv(tmp_path / name / "history.csv").drop(columns=["seconds", "data_wait_fraction"])
        for name in ("mine", "again")
    )
    pd.testing.assert_frame_equal(first, second)


def test_guidance_on_data_without_gaze_is_remarked(capsys, caplog, prepared, tmp_path):
    data = Path(shutil.copytree(prepared, tmp_path / "DATA"))
    cases, gaze = pd.read_parquet(data / "cases.parquet"), pd.read_parquet(data / "fixations.parquet")
    cases["has_gaze"] = False
    cases.to_parquet(data / "cases.parquet")
    gaze.head(0).to_parquet(data / "fixations.parquet")
    called = call(capsys, "train", data, *TINY, "--out", tmp_path)
    assert called.code == 0
    assert "no training case has gaze" in caplog.text


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--guidance", "gradcam"), "there is no guidance 'gradcam'"),
        (("--backbone", "resnet_18"), "timm knows no network 'resnet_18' where: --backbone expected: one of resnet18"),
        (("--output-stride", "5"), "cannot be built this way"),
        (("--epochs", "0"), "epochs cannot be 0"),
        (("--lr", "nan"), "lr cannot be nan"),
        (("--batch-size", "-4"), "batch_size cannot be -4"),
        (("--device", "gpux"), "no device 'gpux'"),
        (("--accelerator", "gpu"), "cannot train so"),
        (("--weights", "nowhere.pth"), "the file of weights is not there"),
        (("--config", "nowhere.toml"), "the config file is not there"),
        (("--resume", "nowhere"), "a resumed run has its own data and config"),
        (("--name", "a/b"), "no name for a folder"),
        (("--rotate-deg", "400"), "rotate_deg cannot be 400"),
    ],
)
def test_what_cannot_work_is_refused_and_nothing_is_made(capsys, prepared, tmp_path, flags, message):
    own = () if flags[0] == "--config" else TINY
    assert message in refused(capsys, "train", prepared, *own, "--out", tmp_path / "run", *flags)
    assert not (tmp_path / "run").exists()


def test_no_data_at_all_is_refused(capsys, tmp_path):
    assert "no data to train on" in refused(capsys, "train", "--out", tmp_path / "run")
    assert "does not exist" in refused(capsys, "train", tmp_path / "DATA", "--out", tmp_path / "run")
    assert "no such run folder" in refused(capsys, "train", "--resume", tmp_path / "run")


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained run, to damage."""
    return Path(shutil.copytree(trained, tmp_path / trained.name))


def test_evaluation_and_page_can_be_made_again(capsys, run):
    (run / "report.html").unlink()
    assert call(capsys, "evaluate", run, "--split", "valid").code == 0
    assert (run / "report.html").is_file()
    called = call(capsys, "report", run, "--out", run / "other.html")
    assert called.code == 0
    assert called.out.strip() == str(run / "other.html")
    assert (run / "other.html").read_text() == (run / "report.html").read_text()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda run: shutil.rmtree(run), "no such run folder"),
        (lambda run: (run / "config.toml").unlink(), "this is no run folder"),
        (lambda run: (run / "config.toml").write_text("data = "), "the run's config cannot be read"),
        (lambda run: (run / "config.toml").write_text("data = 'x'"), "the run's config lacks results and train"),
        (lambda run: open_run_folder(run).weights.unlink(), "no trained network yet"),
        (lambda run: open_run_folder(run).weights.write_bytes(b"x"), "the weights cannot be read"),
        (lambda run: (run / "params_CAMClassifier_.txt").unlink(), "the description of the network is missing"),
        (lambda run: (run / "params_CAMClassifier_.txt").write_text("{}"), "the description of the network is damaged"),
    ],
)
def test_evaluating_a_damaged_run_is_refused(capsys, run, spoil, message):
    spoil(run)
    assert message in refused(capsys, "evaluate", run)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda run: (run / "metrics.json").unlink(), "a file of the run is missing"),
        (lambda run: (run / "metrics.json").write_text("{"), "a file of the run is damaged"),
        (lambda run: (run / "metrics.json").write_text("{}"), "a file of the run lacks data, split, patients"),
        (lambda run: (run / "cams.npz").write_bytes(b"x"), "predictions or CAMs are damaged"),
        (lambda run: (run / "predictions.parquet").unlink(), "the run has not been evaluated"),
        (lambda run: open_run_folder(run).classification_report.unlink(), "a file of the run is missing"),
    ],
)
def test_a_page_of_a_damaged_run_is_refused(capsys, run, spoil, message):
    spoil(run)
    assert message in refused(capsys, "report", run)
