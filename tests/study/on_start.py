"""Failures at the start of a run in another process; light, so that the process starts quickly."""

from __future__ import annotations

import os
from pathlib import Path

CRASHED = "GGCAM_TEST_CRASHED"
"""Environment variable with the path of the file that `crash_once` creates when it crashes."""


def broken() -> None:
    raise ZeroDivisionError("a fault")


def killed() -> None:
    os._exit(9)


def crash_once() -> None:
    """End the process the first time, like a lost machine."""
    mark = Path(os.environ[CRASHED])
    if not mark.exists():
        mark.touch()
        os._exit(1)
    raise ZeroDivisionError("repeated")
