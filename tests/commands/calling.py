"""Call the command line in this process."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from ggcam.cli import main


class Called(NamedTuple):
    """Result of a call: its exit code and what it printed."""

    code: int
    out: str
    err: str


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> Called:
    """Run `ggcam ARGUMENTS`."""
    capsys.readouterr()
    try:
        main([str(argument) for argument in arguments])
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    return Called(code, *capsys.readouterr())


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run `ggcam ARGUMENTS`, which must fail as a user's mistake (code 2, no traceback), and return the message."""
    called = call(capsys, *arguments)
    assert called.code == 2, called
    message = called.out + called.err
    assert "Traceback" not in message
    assert message.strip()
    return " ".join(message.split())
