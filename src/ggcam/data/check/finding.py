"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what was looked at.
        value: what was found, in words and numbers.
        level: "warning" may be as it should be and deserves a look; "wrong" spoils results.
        to_do: what to do about it; empty where all is well.
    """

    name: str
    value: str
    level: Level = "ok"
    to_do: str = ""


def graded(name: str, value: str, *, wrong: bool = False, warning: bool = False, to_do: str) -> Finding:
    """A finding that says what to do only if something is to be done."""
    level: Level = "wrong" if wrong else "warning" if warning else "ok"
    return Finding(name, value, level, to_do if level != "ok" else "")
