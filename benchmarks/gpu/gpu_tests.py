"""The tests marked `gpu`; on a CPU, the same ones as they run there."""

from __future__ import annotations

import pytest

from benchmarks.gpu.measurements import Work
from benchmarks.gpu.parts import ROOT


class Outcomes:
    """A plug-in of pytest that keeps each test's outcome as soon as it is there."""

    def __init__(self, work: Work):
        self._work = work

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self._work.add(report.nodeid.split("/")[-1], outcome=report.outcome, seconds=round(report.duration, 2))


def run(work: Work) -> None:
    """Run the tests in this process."""
    tests = ROOT / "tests" / "gpu"
    marker = "gpu" if work.device == "cuda" else "not gpu"
    arguments = [str(tests / "test_attention_maps.py" if work.tiny else tests), "-m", marker]
    # Another version of a package may warn of what the pinned one does not; that is no reason to stop here.
    options = ["-p", "no:cacheprovider", "-p", "no:xdist", "-W", "default", "-v"]
    code = pytest.main([*options, *arguments], plugins=[Outcomes(work)])
    if code != pytest.ExitCode.OK:
        work.failures.append(f"pytest: exit code {int(code)}")
