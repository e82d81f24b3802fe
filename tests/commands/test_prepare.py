"""`ggcam prepare`: what it prints, and what it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from commands.calling import call, refusal
from ggcam.data.prepared import load_prepared


@pytest.fixture
def raw(simulated: Path, tmp_path: Path) -> Path:
    """A copy of the simulated data, to damage."""
    return Path(shutil.copytree(simulated, tmp_path / "raw"))


def first_image(raw: Path) -> Path:
    return sorted(raw.glob("files/*/*/*/*.dcm"))[0]


def test_it_prints_the_number_of_cases_and_the_reasons_of_what_was_left_out(capsys, raw, tmp_path):
    first_image(raw).unlink()
    out = tmp_path / "DATA"
    called = call(capsys, "prepare", raw, out, "--size", "64x64", "--skip-missing", "--split-file", raw / "split.csv")
    assert called.code == 0
    assert "59 cases in" in called.out
    dropped = load_prepared(out).meta["dropped"]
    assert dropped["case whose image is missing"] == 1
    assert all(reason in called.out for reason in dropped)


def broken_csv(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("spoil", "flags", "message"),
    [
        (lambda raw: first_image(raw).unlink(), (), "1 of 60 images are missing"),
        (lambda raw: first_image(raw).write_bytes(b""), (), "the first: the image file is empty"),
        (lambda raw: first_image(raw).write_bytes(first_image(raw).read_bytes()[:3000]), (), "cases have a missing"),
        (lambda raw: broken_csv(raw / "master_sheet.csv", "patient_id", "patient"), (), "no column patient_id"),
        (lambda raw: broken_csv(raw / "fixations.csv", "FPOGD", "DURATION"), (), "no column FPOGD"),
        (lambda raw: (raw / "fixations.csv").unlink(), ("--source", "egd-cxr"), "the table does not exist"),
        (lambda raw: (raw / "master_sheet.csv").write_bytes(b"\0\1"), (), "master_sheet.csv"),
        (lambda raw: None, ("--source", "egd"), "unknown source"),
        (lambda raw: None, ("--size", "100x100"), "use 96x96"),
        (lambda raw: None, ("--split-fractions", "0.9", "0.9", "0.2"), "sum to 1"),
        (lambda raw: None, ("--images", "nowhere"), "folder of images does not exist where: nowhere"),
        (lambda raw: None, ("--labels", "labels.csv"), "egd-cxr has no option --labels"),
        (lambda raw: None, ("--viewing-distance-cm", "0"), "viewing distance must be above 0"),
        (lambda raw: (raw / "s.csv").write_text("id,split\nx,train\n"), ("--split-file", "s.csv"), "have no split"),
    ],
)  # fmt: skip
def test_broken_input_is_refused_and_nothing_is_left(capsys, monkeypatch, raw, tmp_path, spoil, flags, message):
    monkeypatch.chdir(raw)
    spoil(raw)
    assert message in refusal(capsys, "prepare", raw, tmp_path / "DATA", *(flags or ("--size", "64x64")))
    assert not (tmp_path / "DATA").exists()
