"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class CheckResult:
    """One thing that was looked at.

    Attributes:
        name: what was looked at.
        value: what was found, in words and numbers.
        level: "warning" may be as it should be and deserves a look; "error" spoils results.
        hint: what to do about it; empty where all is well.
    """

    name: str
    value: str
    level: Level = "ok"
    hint: str = ""


def graded(name: str, value: str, *, wrong: bool = False, warning: bool = False, hint: str) -> CheckResult:
    """A finding that says what to do only if something is to be done."""
    level: Level = "error" if wrong else "warning" if warning else "ok"
    return CheckResult(name, value, level, hint if level != "ok" else "")
