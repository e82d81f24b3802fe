"""Every method trains in several processes, which keep the same parameters though only one of them has attention."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

from ggcam.guidance import GUIDANCES


def test_two_processes_keep_the_same_parameters(tmp_path: Path):
    tests = Path(__file__).parents[1]
    paths = os.pathsep.join(map(str, (tests.parent / "src", tests)))
    script = Path(__file__).with_name("train_in_two_processes.py")
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    processes = [subprocess.Popen([sys.executable, script, tmp_path, str(rank)], env=environment) for rank in (0, 1)]
    assert [process.wait(200) for process in processes] == [0, 0]
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    assert set(first) == set(GUIDANCES)
    for name, parameters in first.items():
        assert all(value.isfinite().all() for value in parameters.values()), name
        torch.testing.assert_close(second[name], parameters, rtol=0, atol=0)
