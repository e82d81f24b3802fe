"""`ggcam simulate`: what it prints, and what it refuses."""

from __future__ import annotations

import pandas as pd
import pytest

from commands.calling import call, refusal


def test_it_prints_what_it_wrote_and_what_to_do_next(capsys, tmp_path):
    called = call(capsys, "simulate", tmp_path / "raw", "--cases", 12, "--size", "64x64", "--no-gaze-prob", 0.5)
    assert called.code == 0
    assert len(pd.read_csv(tmp_path / "raw" / "split.csv")) == 12
    assert "Next: ggcam prepare" in called.out
    assert "pneumonia" in called.out


def test_reflacx_goes_all_the_way_to_a_prepared_folder(capsys, tmp_path):
    flags = ("--layout", "reflacx", "--cases", 14, "--size", "64x64")
    called = call(capsys, "simulate", tmp_path / "raw", *flags)
    assert called.code == 0
    assert "readings. Next: ggcam prepare" in called.out
    flags = ("--split", "source", "--size", "64x64", "--dictation-window-s", 2)
    called = call(capsys, "prepare", tmp_path / "raw", tmp_path / "data", *flags)
    assert called.code == 0
    assert "Consolidation" in called.out
    fixations = pd.read_parquet(tmp_path / "data" / "fixations.parquet")
    assert fixations.groupby("case_id")["reading_id"].nunique().max() >= 4
    assert fixations["label"].fillna("").ne("").any()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--cases", "2"), "12 or more"),
        (("--size", "big"), "HEIGHTxWIDTH"),
        (("--size", "16x16"), "from 64 to 4096"),
        (("--shortcut", "80"), "a probability from 0 to 1"),
        (("--gaze-noise", "-1"), "0 to 10 degrees"),
        (("--inattentive-prob", "2"), "a probability from 0 to 1"),
        (("--no-gaze-prob", "nan"), "a probability from 0 to 1"),
        (("--seed", "-1"), "0 or more"),
        (("--workers", "-1"), "0 (one per core) or more"),
        (("--backgrounds", "nowhere"), "the folder of backgrounds does not exist where: nowhere"),
    ],
)
def test_an_impossible_value_is_refused_and_nothing_is_written(capsys, tmp_path, flags, message):
    assert message in refusal(capsys, "simulate", tmp_path / "raw", *flags)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_stays_as_it_is(capsys, tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "thesis.txt").write_text("years of work")
    assert "exists already and is not empty" in refusal(capsys, "simulate", tmp_path / "raw", "--cases", "12")
    assert (tmp_path / "raw" / "thesis.txt").read_text() == "years of work"
