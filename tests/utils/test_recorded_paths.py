"""Recorded paths lead back to the same file, and tell nothing about the machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggcam.utils.recorded_paths import record_path, recorded_path

HOME = Path.home()
names = st.lists(st.sampled_from(["a", "b", "DATA", "run"]), max_size=4)


@given(names, names)
def test_a_path_that_was_recorded_is_found_again(path: list[str], folder: list[str]):
    target, home = HOME.joinpath("project", *path), HOME.joinpath("project", *folder)
    text = record_path(target, home)
    assert recorded_path(text, home) == target.resolve()
    assert not Path(text).is_absolute()
    assert HOME.name not in Path(text).parts


@pytest.mark.parametrize(
    ("path", "folder"), [("/data/x", "/work/run"), (HOME / "x", "/work/run"), ("/data/x", HOME / "run"), ("/", "/work")]
)
def test_a_path_elsewhere_on_the_machine_is_not_recorded(path: Path, folder: Path):
    assert record_path(Path(path), Path(folder)) == ""
    assert recorded_path("", Path(folder)) is None


def test_the_home_of_another_user_is_not_recorded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Path, "home", lambda: Path("/home/me"))
    assert record_path(Path("/home/you/DATA"), Path("/home/me/run")) == ""
    assert record_path(Path("/home/me/DATA"), Path("/home/me/run/x")) == "../../DATA"


def test_an_absolute_path_of_an_earlier_version_is_kept():
    assert recorded_path("/some/DATA", Path("/work/run")) == Path("/some/DATA")
