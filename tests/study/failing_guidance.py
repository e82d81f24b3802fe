"""Guidances that fail when a run creates them, in whichever process that is."""

from __future__ import annotations

import os
from pathlib import Path

from ggcam.guidance import Guidance

CRASHED = "GGCAM_TEST_CRASHED"
"""Environment variable with the path of the file that `CrashesOnce` creates when it crashes."""


class Broken(Guidance):
    def __init__(self, weight: float = 1.0):
        raise ZeroDivisionError("a fault")


class Killed(Guidance):
    def __init__(self, weight: float = 1.0):
        os._exit(9)


class CrashesOnce(Guidance):
    """Ends the process the first time, like a lost machine."""

    def __init__(self, weight: float = 1.0):
        mark = Path(os.environ[CRASHED])
        if not mark.exists():
            mark.touch()
            os._exit(1)
        raise ZeroDivisionError("repeated")
