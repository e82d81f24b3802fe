"""Progress as lines of text: when a line is due, and what it says."""

from __future__ import annotations

import pytest

from ggcam.commands.terminal import ProgressLines, duration, show_progress, time_left


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def lines_of(steps: list[tuple[float, int]], total: int) -> list[str]:
    """Lines printed when `done` units are finished at each time, in seconds after the start."""
    clock, lines = Clock(), []
    progress = ProgressLines("preparing", "cases", lines.append, clock)
    for seconds, done in steps:
        clock.now = 100.0 + seconds
        progress(done, total)
    return lines


def test_a_line_per_tenth_with_count_total_and_time_left():
    lines = lines_of([(0, 0), *((done / 10, done) for done in range(1, 1001))], 1000)
    assert len(lines) == 10
    assert lines[0] == "preparing: 100 of 1,000 cases (10%), 10 s, about 1 min 30 s left"
    assert lines[-1] == "preparing: 1,000 of 1,000 cases (100%), 1 min 40 s"


def test_a_slow_command_is_never_silent_for_long():
    lines = lines_of([(0, 0), *((10.0 * done, done) for done in range(1, 10))], 1000)
    assert [line.split()[1] for line in lines] == ["3", "6", "9"]


def test_a_command_of_less_than_two_seconds_prints_nothing():
    assert lines_of([(done / 100, done) for done in range(101)], 100) == []


def test_the_time_left_of_a_continued_command_counts_only_its_own_work():
    (line,) = lines_of([(0, 500), (50, 600)], 1000)
    assert line.endswith("50 s, about 3 min 20 s left")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (3600, "1 h 0 min"), (7500, "2 h 5 min")],
)
def test_a_duration_in_words(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(("done", "words"), [(0, ""), (1, ", about 30 s left"), (4, "")])
def test_the_time_left_is_estimated_from_the_mean(done, words):
    assert time_left(10.0, done, 4) == words


def test_where_there_is_no_terminal_lines_go_to_standard_error(capsys, monkeypatch):
    monkeypatch.setattr("ggcam.commands.terminal.FIRST_LINE_S", 0.0)
    with show_progress("checking", "images") as progress:
        progress(1, 2)
        progress(2, 2)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line.split(",")[0] for line in printed.err.splitlines()] == [
        "checking: 1 of 2 images (50%)",
        "checking: 2 of 2 images (100%)",
    ]
    with show_progress("training", "runs", lines=False) as progress:
        progress(1, 2)
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_there_is_a_bar(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with show_progress("checking", "images") as progress:
        progress(1, 2)
    printed = capsys.readouterr()
    assert "1/2" in printed.err
    assert "\x1b[" in printed.err
    assert printed.out == ""
