"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class CheckResult:
    """The result of one check.

    Attributes:
        name: what was checked.
        value: what was found, in words and numbers.
        level: "ok"; "warning" for something unusual that may be correct; "error" for a mistake that invalidates the
            results.
        hint: how to fix it; empty if the level is "ok".
    """

    name: str
    value: str
    level: Level = "ok"
    hint: str = ""


def make_result(name: str, value: str, *, error: bool = False, warning: bool = False, hint: str) -> CheckResult:
    """Make a result, with a hint only if there is something to fix.

    Args:
        name: what was checked.
        value: what was found.
        error: whether the level is "error".
        warning: whether the level is at least "warning".
        hint: how to fix it.

    Returns:
        The result.
    """
    level: Level = "error" if error else "warning" if warning else "ok"
    return CheckResult(name, value, level, hint if level != "ok" else "")
