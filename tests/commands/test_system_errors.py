"""What the operating system refuses is told in words, with the file and what to do."""

from __future__ import annotations

import errno
import os
import re
import sys

import pytest

from commands.calling import call
from ggcam.commands.system_errors import HINTS, describe_system_error


@pytest.mark.parametrize("number", sorted(HINTS))
def test_an_error_names_the_file_and_how_to_go_on(tmp_path, number):
    text = describe_system_error(OSError(number, os.strerror(number), str(tmp_path / "a.csv")))
    assert text is not None
    assert text.startswith(os.strerror(number))
    assert f"where: {tmp_path / 'a.csv'}" in text
    assert HINTS[number] in text
    assert bool(re.search(r"got: [\d,.]+ MB free", text)) is (number == errno.ENOSPC)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_too_little_memory_is_said_so(error):
    text = describe_system_error(error)
    assert text is not None
    assert "free some memory" in text


def test_the_cause_of_another_error_is_found_and_a_fault_stays_one():
    outer = RuntimeError("could not be written")
    outer.__cause__ = OSError(errno.ENOSPC, "No space left on device", "x.csv")
    assert "No space left" in (describe_system_error(outer) or "")
    assert describe_system_error(OSError("without a number")) is None
    assert describe_system_error(ZeroDivisionError()) is None


def test_a_command_that_cannot_write_ends_with_code_2(capsys, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "raw"))

    monkeypatch.setattr("ggcam.simulation.simulator.simulate", full)
    called = call(capsys, "simulate", tmp_path / "raw")
    assert called.code == 2
    assert called.err.startswith("ggcam: No space left on device\n")


def test_a_locale_without_utf_8_is_named(monkeypatch):
    error = UnicodeEncodeError("utf-8", "d\udcc3\udca4ta", 1, 3, "surrogates not allowed")
    assert describe_system_error(error) is None
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    assert "PYTHONUTF8=1" in (describe_system_error(error) or "")


def test_a_note_of_the_exception_says_how_to_go_on():
    error = OSError(errno.ENOSPC, "No space left on device", "best.ckpt")
    error.add_note("resume with: ggcam train --resume run/a")
    assert "then resume with: ggcam train --resume run/a" in (describe_system_error(error) or "")


def test_the_traceback_of_a_worker_process_is_not_shown():
    error = OSError(errno.ENOSPC, "No space left on device", "raw")
    error.add_note("in a worker process:\nTraceback (most recent call last):\n  ...")
    text = describe_system_error(error) or ""
    assert "Traceback" not in text
    assert "run the same command again" in text
