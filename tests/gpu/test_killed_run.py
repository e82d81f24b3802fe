"""A run that is killed and resumed ends with the very weights of one that is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import torch

from ggcam.run_folder import open_run_folder
from gpu import train_deterministically

ROOT = Path(__file__).parents[2]


def test_killed_and_resumed(prepared, tmp_path, device):
    accelerator = "gpu" if device == "cuda" else "cpu"
    command = [sys.executable, train_deterministically.__file__, prepared, tmp_path, "killed", accelerator, "killed"]
    killed = subprocess.run(list(map(str, command)), cwd=ROOT, env=_environment(), capture_output=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    run = open_run_folder(tmp_path / "killed")
    assert run.last_checkpoint.is_file()
    assert not run.weights.is_file()
    train_deterministically.train_deterministically(prepared, tmp_path, "killed", accelerator, "resumed")
    train_deterministically.train_deterministically(prepared, tmp_path, "whole", accelerator, "whole")
    weights = [torch.load(open_run_folder(tmp_path / name).weights) for name in ("killed", "whole")]
    assert weights[0].keys() == weights[1].keys()
    assert [key for key in weights[0] if not torch.equal(weights[0][key], weights[1][key])] == []
    histories = [pd.read_csv(open_run_folder(tmp_path / name).history) for name in ("killed", "whole")]
    columns = ["epoch", "train_total", "valid_total", "valid_macro_auroc"]
    pd.testing.assert_frame_equal(histories[0][columns], histories[1][columns])


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
