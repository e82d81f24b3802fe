"""Work in several processes: all outcomes come back, and what stops it is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ggcam.errors import ConfigError
from ggcam.utils.parallel import parallel_map

SCRIPT = """
import math
from ggcam.utils.parallel import parallel_map
print(sum(parallel_map(math.factorial, [1] * 40, 2)))
"""


def fatal_at_thirty(number: int) -> int:
    if number == 30:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_every_outcome_comes_back():
    assert sorted(parallel_map(abs, range(-40, 0), 2)) == list(range(1, 41))


def test_a_killed_worker_is_told_from_one_that_never_started():
    with pytest.raises(ConfigError, match=r"was killed(.|\n)*fewer --workers"):
        list(parallel_map(fatal_at_thirty, range(40), 2))


@pytest.mark.parametrize("guarded", [True, False])
def test_a_script_without_a_guard_is_told_what_it_lacks(tmp_path: Path, guarded: bool):
    lines = SCRIPT.strip().splitlines()
    if guarded:
        lines[-1:] = ['if __name__ == "__main__":', "    " + lines[-1]]
    (tmp_path / "script.py").write_text("\n".join(lines))
    done = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True, check=False)
    assert (done.returncode == 0, done.stdout.strip()) == ((True, "40") if guarded else (False, ""))
    assert ("__main__" in done.stderr.split("ConfigError")[-1] and "no worker" in done.stderr) is not guarded
