"""The parts of `make gpu`, and one part in a process of its own with a time limit.

python -m benchmarks.gpu.parts NAME --rows FILE --folder DIR --limit SECONDS [--device cpu] [--tiny]
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.gpu.measurements import Measurement, Work, read_rows

ROOT = Path(__file__).parents[2]

LIMIT_S = 460
"""Seconds for all parts together; the last one takes what the others leave. With start-up, eight minutes in all."""

RESERVE_S = 10
"""Seconds before its limit from which on a part begins nothing new."""


@dataclass(frozen=True)
class Part:
    """A module of this package with a function `run(work: Work) -> None`.

    Attributes:
        name: of the module.
        title: heading of its table.
        limit_s: seconds after which it is stopped.
    """

    name: str
    title: str
    limit_s: float


PARTS = (
    Part("gpu_tests", "Tests", 90),
    Part("steps", "Training steps", 130),
    Part("epoch", "Epochs of ggcam train from disk", 70),
    Part("predicting", "Prediction", 60),
    Part("concurrent_runs", "Small runs at once", 60),
    Part("compiled_steps", "Training steps with --compile", 50),
)


@dataclass(frozen=True)
class Outcome:
    """What came of a part.

    Attributes:
        part: which one.
        status: "ok", "failed" or "stopped at its time limit".
        seconds: that it took.
        measurements: in order; of a stopped part, those it got to.
    """

    part: Part
    status: str
    seconds: float
    measurements: list[Measurement] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "name": self.part.name,
            "title": self.part.title,
            "status": self.status,
            "seconds": round(self.seconds, 1),
            "limit_s": self.part.limit_s,
            "measurements": [{"subject": row.subject, **row.values} for row in self.measurements],
        }


def run_part(part: Part, folder: Path, device: str, tiny: bool) -> Outcome:
    """Run a part in a process of its own. Whatever happens to it, this returns; its child processes end with it."""
    folder.mkdir(parents=True)
    rows = folder / "rows.jsonl"
    arguments = [part.name, "--rows", rows, "--folder", folder / "work", "--limit", part.limit_s, "--device", device]
    command = [sys.executable, "-m", "benchmarks.gpu.parts", *map(str, arguments), *(["--tiny"] if tiny else [])]
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    try:
        status = "ok" if process.wait(part.limit_s) == 0 else "failed"
    except subprocess.TimeoutExpired:
        status = "stopped at its time limit"
    finally:
        _end(process)
    return Outcome(part, status, time.monotonic() - started, read_rows(rows))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a process and of its children, which share its group."""
    with suppress(ProcessLookupError):  # all have ended by themselves
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.parts", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("name", choices=[part.name for part in PARTS])
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--limit", type=float, required=True)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True)
    deadline = time.monotonic() + options.limit - RESERVE_S
    work = Work(options.device, options.tiny, options.folder, options.rows, deadline)
    importlib.import_module(f"benchmarks.gpu.{options.name}").run(work)
    sys.exit(1 if work.failures else 0)


if __name__ == "__main__":
    main()
