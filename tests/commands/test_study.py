"""`ggcam study`: what it prints and writes, that it continues, and what it refuses before anything is trained."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from commands.calling import call, refusal
from ggcam.study import run as study_run

TINY = ("--backbone", "test_resnet", "--batch-size", "16", "--epochs", "1", "--workers", "1")
STUDY = (*TINY, "--guidance", "none,ggcam-cc", "--seeds", "2")


@pytest.fixture(scope="module")
def studied(prepared: Path, tmp_path_factory: pytest.TempPathFactory, request) -> Path:
    """A finished study of two arms and two seeds."""
    from ggcam.cli import main

    out = tmp_path_factory.mktemp("study") / "study"
    main(["study", str(prepared), *STUDY, "--out", str(out)])
    return out


def test_a_study_leaves_runs_a_table_and_a_summary(studied):
    names = sorted(path.name for path in (studied / "runs").iterdir())
    assert names == ["ggcam-cc-seed0", "ggcam-cc-seed1", "none-seed0", "none-seed1"]
    assert not (studied / "partial").exists() or not any((studied / "partial").iterdir())
    table = pd.read_parquet(studied / "study.parquet")
    summary = json.loads((studied / "summary.json").read_text())
    for row in summary["arms"]:
        of_runs = table[(table["arm"] == row["arm"]) & (table["metric"] == row["metric"])]["value"]
        assert row["value"] == pytest.approx(of_runs.mean(), nan_ok=True, abs=1e-9)
    metrics = {row["metric"] for row in summary["differences"]}
    assert {"macro_auroc", "auroc/CHF", "pointing_game/pneumonia/hit_rate", "gaze_agreement/cc/cam"} <= metrics
    assert {(row["arm"], row["baseline"]) for row in summary["differences"]} == {("ggcam-cc", "none")}


def test_a_study_has_a_report_which_can_be_written_again(capsys, studied, tmp_path):
    page = (studied / "report.html").read_text(encoding="utf-8")
    for words in ("ggcam-cc − none", "4 of 4", 'href="runs/none-seed0/report.html"', "Fixations per reading"):
        assert words in page
    called = call(capsys, "report", studied, "--out", tmp_path / "again.html")
    assert (called.code, called.out) == (0, f"{tmp_path / 'again.html'}\n")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_the_report_of_a_study_needs_its_results_but_not_its_data(capsys, studied, tmp_path):
    study = Path(shutil.copytree(studied, tmp_path / "study"))
    plan = study / "study.toml"
    plan.write_text(re.sub(r'root = ".*"', f'root = "{tmp_path}/gone"', plan.read_text()))
    assert call(capsys, "report", study).code == 0
    assert "No data card" in (study / "report.html").read_text(encoding="utf-8")
    (study / "study.parquet").write_bytes(b"no table")
    assert "damaged" in refusal(capsys, "report", study)
    (study / "summary.json").unlink()
    assert "no results" in refusal(capsys, "report", study)


def test_it_continues_where_it_stopped(capsys, studied, prepared, tmp_path):
    study = Path(shutil.copytree(studied, tmp_path / "study"))
    summary = (study / "summary.json").read_bytes()
    kept = (study / "runs" / "none-seed0" / "history.csv").stat().st_mtime_ns
    (study / "runs" / "none-seed1" / "metrics.json").unlink()  # as if interrupted
    (study / "partial-ABCDE").mkdir()
    called = call(capsys, "study", prepared, *STUDY, "--out", study)
    assert called.code == 0
    assert "3 runs were finished before" in called.out
    assert re.search(r"^run 1 of 1: none-seed1, macro AUROC 0\.\d{3}, \d+ s$", called.out, re.MULTILINE)
    assert not (study / "partial-ABCDE").exists()
    assert (study / "runs" / "none-seed0" / "history.csv").stat().st_mtime_ns == kept
    assert (study / "summary.json").read_bytes() == summary
    for line in ("macro_auroc", "2 seeds: p_seeds cannot be below 0.5"):
        assert line in called.out


def test_a_failing_run_is_reported_and_the_exit_code_is_1(capsys, prepared, tmp_path, monkeypatch):
    whole = study_run._publish

    def publish(root, place):
        if place.name == "ggcam-cc-seed0":
            raise OSError("the disk is full")
        whole(root, place)

    monkeypatch.setattr(study_run, "_publish", publish)
    out = tmp_path / "study"
    called = call(capsys, "study", prepared, *TINY, "--guidance", "none,ggcam-cc", "--seeds", "1", "--out", out)
    assert called.code == 1
    assert "4 runs" not in called.out
    assert "2 runs: arms none, ggcam-cc; seeds 0" in called.out
    assert re.search(r"run 1 of 2: none-seed0, macro AUROC 0\.\d{3}, \d+ s, about \d+ s left", called.out)
    assert "run 2 of 2: ggcam-cc-seed0 failed: OSError: the disk is full" in called.err
    assert "Traceback" not in called.err
    assert "1 runs failed" in called.err
    assert "the disk is full" in json.loads((out / "errors.json").read_text())["ggcam-cc-seed0"]
    for note in ("one seed: whether other runs", "1 runs are missing"):
        assert note in " ".join(called.out.split())
    assert [path.name for path in (out / "runs").iterdir()] == ["none-seed0"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ("--guidance", "none,gradcam"),
            "there is no guidance 'gradcam' where: --guidance expected: one of none, ggcam",
        ),
        (("--guidance", ""), "at least one arm"),
        (("--guidance", "none", "--controls"), "controls need a guidance that uses gaze"),
        (("--seeds", "0"), "at least one seed"),
        (("--seeds", "many"), "'many' is not a whole number"),
        (
            ("--train-cases", "10,many"),
            "not a list of whole numbers where: --train-cases expected: numbers such as 100,200,400",
        ),
        (("--train-cases", "1000"), "at most 42"),
        (("--folds", "2"), "too few folds"),
        (("--backbone", "resnet_18"), "there is no network 'resnet_18' in timm"),
        (("--epochs", "0"), "epochs is out of range"),
        (("--workers", "0"), "--workers cannot be 0"),
        (("--workers", "2", "--ray", "auto"), "--ray for a cluster"),
        (("--gpus-per-run", "0.5"), "for a Ray cluster"),
        (("--config", "nowhere.toml"), "options and a config file exclude each other"),
        (("--control", "centre"), "--control"),
        (("--devices", "2"), "--devices"),
    ],
)
def test_what_cannot_work_is_refused_and_nothing_is_written(capsys, prepared, tmp_path, flags, message):
    assert message in refusal(capsys, "study", prepared, *TINY, "--out", tmp_path / "study", *flags)
    assert not (tmp_path / "study").exists()


def test_a_folder_with_another_study_is_refused(capsys, studied, prepared):
    before = (studied / "study.toml").read_bytes()
    message = refusal(capsys, "study", prepared, *STUDY, "--lr", "0.1", "--out", studied)
    assert "holds another study" in message
    assert "differs in lr" in message
    assert (studied / "study.toml").read_bytes() == before
