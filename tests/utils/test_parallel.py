"""Work in several processes: all outcomes come back, and what stops it is reported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ggcam.errors import ConfigError
from ggcam.utils.limits import Limits
from ggcam.utils.parallel import Guard, parallel_map

SCRIPT = """
import math, pathlib
from ggcam.utils.parallel import parallel_map
pathlib.Path("imports").open("a").write("x")
print(sum(parallel_map(math.factorial, [1] * 40, 2)))
"""


def fatal_at_thirty(number: int) -> int:
    if number == 30:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def fatal_at_three(number: int) -> int:
    if number == 3:
        os.abort()
    if number == 5:
        time.sleep(60)
    return number


def guard() -> Guard[int, int]:
    return Guard(lambda _: Limits(1, 2**28), lambda number, _: -number, lambda number: f"number {number}")


def test_every_outcome_comes_back():
    assert sorted(parallel_map(abs, range(-40, 0), 2)) == list(range(1, 41))


def test_a_killed_worker_is_reported():
    with pytest.raises(ConfigError, match=r"was killed(.|\n)*fewer --workers"):
        list(parallel_map(fatal_at_thirty, range(40), 2))


@pytest.mark.parametrize("workers", [1, 2])
def test_guarded_tasks_fail_alone(workers):
    found = sorted(parallel_map(fatal_at_three, range(20), workers, guard()))
    assert found == [-5, -3, *(number for number in range(20) if number not in (3, 5))]


def test_guarded_tasks_never_run_in_the_calling_process():
    assert os.getpid() not in list(parallel_map(process_id, [0, 1], 1, guard()))


def process_id(_: int) -> int:
    return os.getpid()


def test_a_script_without_a_guard_is_not_imported_by_the_workers(tmp_path: Path):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "script.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "40", "")
    assert (tmp_path / "imports").read_text() == "x"
