"""A short run of benchmarks/fuzz: mutated files are read, or refused in words; and the script itself finds failures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.fuzz.__main__ import Outcome, report
from benchmarks.fuzz.mutations import MUTATIONS, mutate
from benchmarks.fuzz.samples import Kind, make_kinds
from benchmarks.fuzz.targets import TARGETS, call_target

PER_KIND = 6


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory, prepared: Path, trained: Path) -> list[Kind]:
    return make_kinds(tmp_path_factory.mktemp("kinds"), prepared, trained)


def test_mutated_files_are_read_or_refused(kinds: list[Kind]):
    """In this process: what crashes a decoder is left to the whole script, which has processes with limits."""
    safe = [kind for kind in kinds if not kind.name.startswith(("dicom", "run-weights"))]
    assert {kind.name.partition("-")[0] for kind in safe} >= {"table", "recording", "siim", "raw", "prepared", "run"}
    failures = []
    for kind in safe:
        assert call_target((kind.target, str(kind.folder))) == "read", kind.name
        for number in range(PER_KIND):
            rng = np.random.default_rng(number)
            path = kind.folder / kind.files[number % len(kind.files)]
            whole = path.read_bytes()
            path.write_bytes(mutate(path.name, whole, rng))
            text = call_target((kind.target, str(kind.folder)))
            path.write_bytes(whole)
            failures += [f"{kind.name} {path.name} {number}: {text}"] if Outcome(kind.name, 0, "", text).failed else []
    assert not failures, "\n".join(failures)


def test_every_supported_transfer_syntax_is_among_the_kinds(kinds: list[Kind]):
    syntaxes = {kind.name.removeprefix("dicom-") for kind in kinds if kind.name.startswith("dicom-")}
    words = ("JpegBaseline", "JpegExtended", "JpegLossless", "JpegLsLossless", "JpegLsLossy", "Jpeg2000", "Rle")
    words += ("Deflated", "Implicit", "ExplicitVrBig", "ExplicitVrLittle")
    for word in words:
        assert any(syntax.startswith(word) for syntax in syntaxes), word


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.toml", "a.bin"])
def test_a_mutation_is_repeatable_and_changes_the_file(name: str):
    content = b'{"a": [1, 2.5, "x"], "b": {"c": null}}\n' * (1 if name == "a.json" else 3)
    changed = [mutate(name, content, np.random.default_rng(seed)) for seed in range(40)]
    assert changed == [mutate(name, content, np.random.default_rng(seed)) for seed in range(40)]
    assert sum(each != content for each in changed) > 30
    assert set(MUTATIONS) >= {".csv", ".json", ".toml", ".parquet", ".npz"}


def test_a_failure_is_reported_with_the_number_to_repeat_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    def fail(folder: Path) -> None:
        raise ValueError(f"no error of ours: {folder.name}")

    monkeypatch.setitem(TARGETS, "fail", fail)
    text = call_target(("fail", str(tmp_path / "x")))
    outcomes = [Outcome("a", 0, "f", "read"), Outcome("a", 1, "f", "refused: damaged"), Outcome("b", 7, "g", text)]
    assert report(iter(outcomes)) == 1
    printed = capsys.readouterr().out
    assert "--- b:7 g" in printed
    assert "ValueError: no error of ours: x" in printed
    assert report(iter(outcomes[:2])) == 0
