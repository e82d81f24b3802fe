"""The parts of `make gpu` at tiny size on the CPU, and how they are run and reported."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from benchmarks.gpu import parts
from benchmarks.gpu.measurements import Measurement, Work, in_words, read_rows
from benchmarks.gpu.parts import LIMIT_S, PARTS, Outcome, Part, run_part
from benchmarks.gpu.report import tables

ROOT = Path(__file__).parents[2]


@pytest.fixture
def work(tmp_path) -> Work:
    (tmp_path / "work").mkdir()
    return Work("cpu", True, tmp_path / "work", tmp_path / "rows.jsonl", time.monotonic() + 1000)


@pytest.mark.parametrize(
    ("name", "subjects", "column"),
    [
        ("steps", ["ours", "bare network", "as the original"], "images_per_s"),
        ("epoch", ["from disk"], "data_wait_fraction"),
        ("predicting", ["images in memory", "DICOM files", "with overlays"], "images_per_s"),
        ("concurrent_runs", ["1 at once", "2 at once"], "times_one_run"),
    ],
)
def test_a_part_measures_what_it_should(work, monkeypatch, name, subjects, column):
    source = os.pathsep.join([str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", source)  # of the processes that a part starts
    importlib.import_module(f"benchmarks.gpu.{name}").run(work)
    rows = read_rows(work.rows)
    assert work.failures == []
    assert len(rows) == len(subjects)
    for row, subject in zip(rows, subjects, strict=True):
        assert subject in row.subject
        assert isinstance(row.values[column], float)
        assert 0 <= row.values[column] < 1e6
        assert row.values["images_per_s"] > 0


def test_the_script_runs_tests_and_writes_tables_and_json(tmp_path):
    command = [ROOT / "benchmarks" / "gpu.sh", "--device", "cpu", "--tiny", "--only", "gpu_tests", "--json"]
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run([*command, tmp_path / "gpu.json"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    content = json.loads((tmp_path / "gpu.json").read_text())
    assert "torch" in content["machine"]
    (part,) = content["parts"]
    assert (part["name"], part["status"]) == ("gpu_tests", "ok")
    assert part["measurements"][0]["outcome"] == "passed"
    assert "test_attention_maps[cpu] | passed" in done.stdout


def test_without_a_gpu_nothing_is_run():
    environment = {**os.environ, "PYTHON": sys.executable, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([ROOT / "benchmarks" / "gpu.sh"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "There is no GPU that PyTorch can use on this machine, so nothing was run.\n"


def _run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, limit_s: float) -> Outcome:
    """Run a part whose module has this body."""
    script = tmp_path / "part.py"
    script.write_text(f"import sys, time, subprocess\nrows = sys.argv[sys.argv.index('--rows') + 1]\n{body}")
    started = subprocess.Popen

    def popen(command: list[str], **options) -> subprocess.Popen:
        return started([sys.executable, str(script), *command[3:]], **options)

    monkeypatch.setattr(parts.subprocess, "Popen", popen)
    return run_part(Part("made_up", "Made up", limit_s), tmp_path / "folder", "cpu", True)


WRITE = 'open(rows, \'a\').write(\'{"subject": "a", "images_per_s": 3.0}\\n{"subj\')\n'


def test_a_part_that_hangs_is_stopped_with_its_children_and_keeps_what_it_measured(tmp_path, monkeypatch):
    alive = tmp_path / "alive"
    child = f"import time, pathlib; time.sleep(3); pathlib.Path({str(alive)!r}).touch()"
    body = f"{WRITE}subprocess.Popen([sys.executable, '-c', {child!r}])\ntime.sleep(60)"
    outcome = _run(tmp_path, monkeypatch, body, limit_s=1.5)
    assert outcome.status == "stopped at its time limit"
    assert outcome.seconds < 10
    assert outcome.measurements == [Measurement("a", {"images_per_s": 3.0})]
    time.sleep(2.5)
    assert not alive.exists()


@pytest.mark.parametrize(("end", "status"), [("sys.exit(0)", "ok"), ("raise ValueError", "failed")])
def test_how_a_part_ended_is_told(tmp_path, monkeypatch, end, status):
    outcome = _run(tmp_path, monkeypatch, WRITE + end, limit_s=60)
    assert outcome.status == status
    assert outcome.measurements == [Measurement("a", {"images_per_s": 3.0})]


def test_one_failed_measurement_stops_no_other(work):
    for subject in ("a", "b"):
        with work.measuring(subject):
            if subject == "a":
                raise ValueError("no\nway")
            work.add(subject, images_per_s=2.0)
    assert work.failures == ["a"]
    assert read_rows(work.rows) == [
        Measurement("a", {"note": "failed: ValueError: no"}),
        Measurement("b", {"images_per_s": 2.0}),
    ]


def test_nothing_is_begun_that_would_not_end_in_time(work):
    assert work.has_time("a", needed_s=900)
    assert not work.has_time("b", needed_s=1100)
    assert read_rows(work.rows) == [Measurement("b", {"note": "left out: no time"})]


def test_all_parts_together_take_less_than_eight_minutes():
    assert sum(part.limit_s for part in PARTS) <= LIMIT_S < 8 * 60 - 15


def test_tables_have_a_column_for_each_value_and_leave_out_empty_ones():
    rows = [Measurement("a", {"images_per_s": 1234.5, "share": None}), Measurement("b", {"note": "out of memory"})]
    text = tables({"GPU": "none"}, [Outcome(PARTS[1], "ok", 12.3, rows), Outcome(PARTS[0], "failed", 1.0)])
    assert text.splitlines() == [
        "GPU: none.",
        "",
        "Training steps",
        "",
        "| steps | images_per_s | note          |",
        "| ----- | ------------ | ------------- |",
        "| a     | 1,234        |               |",
        "| b     |              | out of memory |",
        "",
        "| part      | outcome | took | limit |",
        "| --------- | ------- | ---- | ----- |",
        "| steps     | ok      | 12 s | 130 s |",
        "| gpu_tests | failed  | 1 s  | 90 s  |",
    ]
    assert in_words(0.0123456) == "0.0123"
