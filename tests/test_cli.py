"""The command line as a whole: exit codes, help, and how mistakes and faults are reported."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from commands.calling import call, refusal
from ggcam import cli
from ggcam.commands.train_options import TRAIN_GROUPS
from ggcam.simulation import simulator
from ggcam.training.config import TrainConfig

COMMANDS = (
    *("simulate", "prepare", "inspect", "train", "evaluate", "predict", "study", "report", "export", "verify"),
    "serve",
    "backbones",
    "guidances",
    "demo",
)

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "src")}


def test_help_lists_one_line_per_command(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    called = call(capsys, "--help")
    assert called.code == 0
    listed = re.findall(r"^ *[│|]? *• (\w+) +(\S.*?) *[│|]? *$", called.out, re.MULTILINE)
    assert [name for name, _ in listed] == list(COMMANDS)
    assert all(summary.endswith(".") for _, summary in listed), listed  # none is wrapped
    assert "For research use; not a medical device" in " ".join(called.out.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(capsys, command: str):
    called = call(capsys, command, "--help")
    assert called.code == 0
    assert f"Example: ggcam {command}" in " ".join(called.out.split())


@pytest.mark.parametrize("arguments", [*((name,) for name in COMMANDS), ("prepare", "egd-cxr"), ("prepare", "table")])
def test_no_help_speaks_of_python_values(capsys, monkeypatch, arguments):
    monkeypatch.setenv("COLUMNS", "300")
    text = call(capsys, *arguments, "--help").out
    assert not re.search(r"\bNone\b|True|False|''|default: \)|config\.(?!toml)", text), text


@pytest.mark.parametrize("arguments", [*((name,) for name in COMMANDS), ("prepare", "egd-cxr"), ("prepare", "table")])
def test_every_option_is_described_and_has_a_default(capsys, monkeypatch, arguments):
    monkeypatch.setenv("COLUMNS", "120")
    text = call(capsys, *arguments, "--help").out
    _, *options = re.split(r"\n[│| ]*(?=--[a-z])", text)
    assert options or arguments == ("guidances",)
    for option in options:
        flat = re.sub(r"[│|\s]+", " ", option)
        assert re.search(r" [a-z0-9-]{2,}.* \((default: .+|optional|required)\)", flat), flat


def test_escape_sequences_do_not_reach_the_terminal(capsys, tmp_path):
    called = call(capsys, "inspect", tmp_path / "\x1b[31mred\x07")
    assert called.code == 2
    assert r"\x1b[31mred\x07" in called.err
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", called.out + called.err)


def test_every_option_of_a_training_is_in_one_group():
    grouped = [name for names in TRAIN_GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(TrainConfig.__dataclass_fields__)


def test_help_loads_nothing_heavy():
    heavy = (
        "numpy",
        "torch",
        "timm",
        "lightning",
        "pandas",
        "pyarrow",
        "matplotlib",
        "sklearn",
        "scipy",
        "cv2",
        "pydicom",
    )
    code = f"import sys, ggcam.cli; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "simulate"),
        (("--hepl",), "--help"),
        (("simulat", "raw"), "unknown command 'simulat' expected: one of simulate, prepare"),
        (("simulat", "raw"), "hint: ggcam simulate"),
        (("xyz",), "hint: ggcam --help"),
        (("simulate",), "OUT"),
        (("simulate", "raw", "--case", "40"), "--cases"),
        (("simulate", "raw", "--cases", "many"), "'many' is not a whole number"),
        (("train", "DATA", "--precision", "16"), "bf16"),
        (("train", "DATA", "--epocs", "3"), "Perhaps you meant: --epochs"),
        (("evaluate", "run", "--split", "tests"), "test"),
        (("predict",), "RUN"),
        (("inspect",), "DATA"),
        (("demo", "extra"), "extra"),
    ],
)
def test_a_mistyped_call_is_answered_with_what_is_right(capsys, arguments, message):
    assert message in re.sub(r"[│\s]+", " ", refusal(capsys, *arguments))


def test_a_fault_of_the_program_has_a_traceback_and_code_1(capsys, monkeypatch, tmp_path):
    def broken(*_, **__):
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(simulator, "simulate", broken)
    called = call(capsys, "simulate", tmp_path / "raw")
    assert called.code == 1
    assert "ZeroDivisionError: a fault" in called.err
    assert "please report it" in called.err


def test_an_interrupted_command_says_so_without_a_traceback(capsys, monkeypatch, tmp_path):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(simulator, "simulate", interrupted)
    called = call(capsys, "simulate", tmp_path / "raw")
    assert called.code == 130
    assert called.err == "ggcam: interrupted; run the same command again\n"


def test_a_folder_that_cannot_be_written_is_named(capsys, tmp_path):
    (tmp_path / "file").write_text("in the way")
    message = refusal(capsys, "simulate", tmp_path / "file" / "raw", "--cases", "12", "--size", "64x64")
    assert str(tmp_path / "file") in message


def test_a_closed_pipe_is_not_a_fault():
    done = subprocess.run(
        f"{sys.executable} -m ggcam train --help | head -1",
        shell=True, env=ENVIRONMENT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("usage: ggcam train")
    assert done.stderr == ""


def test_a_terminal_without_unicode_is_no_problem():
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "ggcam", "--help"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "simulate" in done.stdout


def test_every_command_of_the_application_is_tested_here():
    assert {command.__name__ for command in cli.COMMANDS} == set(COMMANDS)
