"""`ggcam train`, `evaluate` and `report`: what they print, and what they refuse."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from unittest.mock import Mock

import pandas as pd
import pytest

from commands.calling import call, refusal
from ggcam.data import prepared as prepared_folder
from ggcam.run_folder import open_run_folder

TINY = ("--backbone", "test_resnet", "--batch-size", "8", "--epochs", "1")


def test_training_prints_each_epoch_and_the_evaluation(capsys, monkeypatch, prepared, tmp_path):
    check_cases = Mock(wraps=prepared_folder.check_cases)
    monkeypatch.setattr(prepared_folder, "check_cases", check_cases)
    called = call(capsys, "train", prepared, *TINY, "--out", tmp_path, "--name", "mine", "--seed", 3)
    assert called.code == 0
    assert re.search(r"^epoch 1 of 1: loss \d+\.\d{4} .*; \d+ s$", called.out, re.MULTILINE)
    for line in ("macro AUROC", "CAM peaks on the finding, pneumonia", "12 cases", f"run folder: {tmp_path / 'mine'}"):
        assert line in called.out
    check_cases.assert_called_once()  # training, evaluation and page share the tables
    # Its config trains the same network again.
    again = call(capsys, "train", "--config", tmp_path / "mine" / "config.toml", "--out", tmp_path, "--name", "again")
    assert again.code == 0
    first, second = (
        pd.read_csv(tmp_path / name / "history.csv").drop(columns=["seconds", "data_wait_fraction"])
        for name in ("mine", "again")
    )
    pd.testing.assert_frame_equal(first, second)


def test_guidance_on_data_without_attention_is_refused(capsys, prepared, tmp_path):
    data = Path(shutil.copytree(prepared, tmp_path / "DATA"))
    cases, gaze = pd.read_parquet(data / "cases.parquet"), pd.read_parquet(data / "fixations.parquet")
    cases["has_gaze"] = False
    cases.to_parquet(data / "cases.parquet")
    gaze.head(0).to_parquet(data / "fixations.parquet")
    regions = pd.read_parquet(data / "regions.parquet")
    regions.head(0).to_parquet(data / "regions.parquet")
    called = call(capsys, "train", data, *TINY, "--out", tmp_path / "runs")
    assert called.code == 2
    assert "no training case has attention that guidance ggcam-cc can use" in called.err
    assert not (tmp_path / "runs").exists()
    assert call(capsys, "train", data, *TINY, "--guidance", "none", "--out", tmp_path / "runs").code == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--guidance", "gradcam"), "there is no guidance 'gradcam'"),
        (
            ("--backbone", "resnet_18"),
            "there is no network 'resnet_18' in timm where: --backbone expected: one of resnet18",
        ),
        (("--output-stride", "5"), "test_resnet cannot be built with these options"),
        (("--epochs", "0"), "epochs is out of range where: --epochs expected: a number above 0 got: 0"),
        (("--lr", "nan"), "lr is out of range where: --lr"),
        (("--batch-size", "-4"), "batch_size is out of range where: --batch-size"),
        (("--device", "gpux"), "no device 'gpux'"),
        (("--accelerator", "gpu"), "not supported on this machine"),
        (("--weights", "nowhere.pth"), "the weight file does not exist where: nowhere.pth"),
        (("--config", "nowhere.toml"), "the config file does not exist where: nowhere.toml"),
        (("--resume", "nowhere"), "a resumed run has its own data and config"),
        (("--name", "a/b"), "not a valid folder name where: --name got: 'a/b'"),
        (("--rotate-deg", "400"), "rotate_deg cannot be 400"),
    ],
)
def test_what_cannot_work_is_refused_and_nothing_is_written(capsys, prepared, tmp_path, flags, message):
    own = () if flags[0] == "--config" else TINY
    assert message in refusal(capsys, "train", prepared, *own, "--out", tmp_path / "run", *flags)
    assert not (tmp_path / "run").exists()


def test_no_data_at_all_is_refused(capsys, tmp_path):
    assert "no data to train on" in refusal(capsys, "train", "--out", tmp_path / "run")
    assert "does not exist" in refusal(capsys, "train", tmp_path / "DATA", "--out", tmp_path / "run")
    assert "the run folder does not exist" in refusal(capsys, "train", "--resume", tmp_path / "run")


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained run, to damage."""
    return Path(shutil.copytree(trained, tmp_path / trained.name))


def test_evaluation_and_report_can_be_repeated(capsys, run):
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
        (lambda run: shutil.rmtree(run), "the run folder does not exist"),
        (lambda run: (run / "config.toml").unlink(), "not a run folder"),
        (lambda run: (run / "config.toml").write_text("data = "), "the file is damaged"),
        (lambda run: (run / "config.toml").write_text("data = 'x'"), "the run's config.toml lacks results and train"),
        (lambda run: open_run_folder(run).weights.unlink(), "no trained network yet"),
        (lambda run: open_run_folder(run).weights.write_bytes(b"x"), "the weights cannot be loaded"),
        (lambda run: (run / "params_CAMClassifier_.txt").unlink(), "the description of the network is missing"),
        (lambda run: (run / "params_CAMClassifier_.txt").write_text("{}"), "the key type is missing"),
    ],
)
def test_evaluating_a_damaged_run_is_refused(capsys, run, spoil, message):
    spoil(run)
    assert message in refusal(capsys, "evaluate", run)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda run: (run / "metrics.json").unlink(), "the file does not exist"),
        (lambda run: (run / "metrics.json").write_text("{"), "the file is damaged"),
        (lambda run: (run / "metrics.json").write_text("{}"), "the key split is missing"),
        (lambda run: (run / "cams.npz").write_bytes(b"x"), "the file is damaged"),
        (lambda run: (run / "predictions.parquet").unlink(), "the table is missing"),
        (lambda run: open_run_folder(run).classification_report.unlink(), "the file does not exist"),
    ],
)
def test_a_report_of_a_damaged_run_is_refused(capsys, run, spoil, message):
    spoil(run)
    assert message in refusal(capsys, "report", run)
