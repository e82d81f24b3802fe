"""`ggcam prepare --preset original` and `--write-original`, from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.calling import call, refusal
from data.sources.original_fixture import raw_case, write_raw
from ggcam.data.prepared import load_prepared

SMALL = ("--size", "192x128", "--workers", "1")
CASES = 12
"""Four of each class, which is enough for the original's split by position."""


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_raw(tmp_path / "raw", [raw_case(number, 380, 250, label=number // 4) for number in range(CASES)])


def test_pt_files_written_with_the_preset_are_a_source_again(capsys, raw, tmp_path):
    out, pt = tmp_path / "data", tmp_path / "pt"
    called = call(capsys, "prepare", raw, out, *SMALL, "--preset", "original", "--write-original", pt)
    assert called.code == 0, called.err
    for name in ("Down2_Blur200", "Down2_Blur500", "Down2_Blur800"):
        assert name in called.out
        assert len(list((pt / name).rglob("*.pt"))) == CASES
    assert load_prepared(out).meta["split"]["how"] == "position"
    called = call(capsys, "prepare", pt, tmp_path / "again", *SMALL, "--split", "source", "--blur", "200")
    assert called.code == 0, called.err
    first, second = load_prepared(out).cases, load_prepared(tmp_path / "again").cases
    splits = dict(zip(second["case_id"], second["split"], strict=True))
    assert splits == dict(zip(first["case_id"], first["split"], strict=True))


def test_pt_files_are_written_for_an_existing_prepared_folder(capsys, raw, tmp_path):
    out, pt = tmp_path / "data", tmp_path / "pt"
    assert call(capsys, "prepare", raw, out, *SMALL).code == 0
    assert "already exists and is complete" in refusal(capsys, "prepare", raw, out, *SMALL)
    other = ("--preset", "original", "--write-original", pt)
    assert "already exists and is complete" in refusal(capsys, "prepare", raw, out, *SMALL, *other)
    assert not pt.exists()
    before = (out / "cases.parquet").stat().st_mtime_ns
    assert call(capsys, "prepare", raw, out, *SMALL, "--write-original", pt).code == 0
    assert (out / "cases.parquet").stat().st_mtime_ns == before
    assert len(list(pt.rglob("*.pt"))) == 3 * CASES


def test_mistakes_are_refused_with_a_fix(capsys, raw, tmp_path):
    out = tmp_path / "data"
    command = ("prepare", raw, out, *SMALL, "--preset", "original")
    assert "leaves no train case" in refusal(capsys, *command, "--subset-fraction", "0.01")
    assert "--preset original" in refusal(capsys, "prepare", raw, out, *SMALL, "--subset-fraction", "0.5")
    assert "above 0 Hz" in refusal(capsys, *command, "--sampling-rate-hz", "0")
    assert "'original'" in refusal(capsys, "prepare", raw, out, "--preset", "relesed")
    (raw / "D_0007" / "cxr.pk").unlink()
    assert f"1 of {CASES} cases lack files" in refusal(capsys, *command)
    assert not out.exists()
