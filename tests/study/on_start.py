"""What goes wrong at the start of a run, in another process: a light module, so that one is up soon."""

from __future__ import annotations

import os
from pathlib import Path

CRASHED = "GGCAM_TEST_CRASHED"
"""Environment variable: the file that says that `crash_once` has crashed."""


def broken() -> None:
    raise ZeroDivisionError("a fault")


def killed() -> None:
    os._exit(9)


def crash_once() -> None:
    """Take the process down the first time, as a lost machine does."""
    mark = Path(os.environ[CRASHED])
    if not mark.exists():
        mark.touch()
        os._exit(1)
    raise ZeroDivisionError("repeated")
