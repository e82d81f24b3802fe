"""The command line as a whole: exit codes, help, and what a user is told of mistakes and of faults."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from commands.calling import call, refused
from ggcam import cli
from ggcam.simulation import simulator

COMMANDS = ("simulate", "prepare", "inspect", "train", "evaluate", "predict", "study", "report", "export", "demo")


def test_help_lists_every_command(capsys):
    called = call(capsys, "--help")
    assert called.code == 0
    assert all(name in called.out for name in COMMANDS)
    assert "For research use" in called.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(capsys, command: str):
    called = call(capsys, command, "--help")
    assert called.code == 0
    assert f"Example: ggcam {command}" in " ".join(called.out.split())


def test_help_loads_nothing_heavy():
    heavy = ("torch", "timm", "lightning", "pandas", "pyarrow", "matplotlib", "sklearn", "scipy", "cv2", "pydicom")
    code = f"import sys, ggcam.cli; print([name for name in {heavy!r} if name in sys.modules])"
    source = Path(__file__).parents[1] / "src"
    environment = {**os.environ, "PYTHONPATH": str(source)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "simulate"),
        (("simulat", "raw"), "simulate"),
        (("simulate",), "OUT"),
        (("simulate", "raw", "--case", "40"), "--cases"),
        (("simulate", "raw", "--cases", "many"), "many"),
        (("train", "DATA", "--precision", "16"), "bf16"),
        (("evaluate", "run", "--split", "tests"), "test"),
        (("predict",), "RUN"),
        (("inspect",), "DATA"),
        (("demo", "extra"), "extra"),
    ],
)
def test_a_mistyped_call_is_answered_with_what_would_be_right(capsys, arguments, message):
    assert message in refused(capsys, *arguments)


def test_a_fault_of_the_program_has_a_traceback_and_code_1(capsys, monkeypatch, tmp_path):
    def broken(*_):
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(simulator, "simulate", broken)
    called = call(capsys, "simulate", tmp_path / "raw")
    assert called.code == 1
    assert "ZeroDivisionError: a fault" in called.err
    assert "please report it" in called.err


def test_an_interrupted_command_says_so_without_a_traceback(capsys, monkeypatch, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(simulator, "simulate", interrupted)
    called = call(capsys, "simulate", tmp_path / "raw")
    assert called.code == 130
    assert called.err == "ggcam: interrupted\n"


def test_a_folder_that_cannot_be_written_is_named(capsys, tmp_path):
    (tmp_path / "file").write_text("in the way")
    message = refused(capsys, "simulate", tmp_path / "file" / "raw", "--cases", "12", "--size", "64x64")
    assert str(tmp_path / "file") in message


def test_output_that_nobody_reads_on_is_no_fault(tmp_path):
    source = Path(__file__).parents[1] / "src"
    environment = {**os.environ, "PYTHONPATH": str(source)}
    done = subprocess.run(
        f"{sys.executable} -m ggcam train --help | head -1",
        shell=True, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("usage: ggcam train")
    assert done.stderr == ""


def test_every_command_of_the_application_is_tested_here():
    assert {command.__name__ for command in cli.COMMANDS} == set(COMMANDS)
