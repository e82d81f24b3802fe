"""Ctrl-C and SIGTERM end a command with 130 and 143, and the message says how to go on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
TRAINING = ("--backbone", "test_resnet", "--batch-size", "8", "--epochs", "5000")


def interrupt(folder: Path, begun: Callable[[], bool], number: signal.Signals, *arguments: object) -> tuple[int, str]:
    """Start a command, send it a signal once it has begun, and return its exit code and standard error."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "ggcam", *map(str, arguments)]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which jobs in the background ignore
    )
    deadline = time.monotonic() + 120
    while not begun() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    try:
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, errors.decode()


def test_an_interrupted_training_says_how_to_resume_it(prepared, tmp_path):
    run = tmp_path / "run" / "it's mine"
    arguments = ("train", prepared, *TRAINING, "--name", run.name)
    returned, errors = interrupt(tmp_path, (run / "checkpoints" / "last.ckpt").is_file, signal.SIGINT, *arguments)
    assert errors.splitlines()[-1] == "ggcam: interrupted; resume with: ggcam train --resume 'run/it'\"'\"'s mine'"
    assert returned == 130
    assert "Traceback" not in errors
    assert not list(run.rglob("*.part"))


def test_an_interrupted_study_is_continued_by_the_same_command(prepared, tmp_path):
    study = tmp_path / "study"
    begun = lambda: any(study.glob("partial-*/*/checkpoints/last.ckpt"))  # noqa: E731
    arguments = ("study", prepared, "--guidance", "none", "--seeds", "1", *TRAINING)
    returned, errors = interrupt(tmp_path, begun, signal.SIGTERM, *arguments)
    assert re.search(r"^ggcam: interrupted; run the same command again$", errors, re.MULTILINE)
    assert returned == 143
    assert not any(study.glob("partial-*"))


def test_a_command_with_a_local_cluster_is_continued_by_the_same_command(simulated, tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'ggcam[ray]'")
    begun = lambda: any(tmp_path.rglob("visible.*.part"))  # noqa: E731
    arguments = ("prepare", simulated, "DATA", "--size", "64x64", "--ray", "local")
    returned, errors = interrupt(tmp_path, begun, signal.SIGTERM, *arguments)
    assert re.search(r"^ggcam: interrupted; run the same command again", errors, re.MULTILINE)
    assert returned == 143
    assert not list(tmp_path.rglob("*.part"))
