"""One command at a time: a second one is refused, and leftovers of killed ones are removed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from filelock import FileLock

from ggcam.errors import BusyError
from ggcam.utils import locks
from ggcam.utils.locks import locked_folder, locked_target


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch):
    monkeypatch.setattr(locks, "LOCK_TIMEOUT_S", 0.0)


@pytest.mark.parametrize("lock", [locked_folder, locked_target])
def test_a_second_lock_is_refused_until_the_first_is_released(tmp_path: Path, lock):
    with (
        lock(tmp_path),
        pytest.raises(BusyError, match=f"another ggcam command is at work(.|\n)*{tmp_path}"),
        lock(tmp_path),
    ):
        pytest.fail("two locks at once")
    with lock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
    assert not tmp_path.with_name(f".{tmp_path.name}.lock").exists()


def test_an_interruption_releases_the_lock(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt), locked_folder(tmp_path):
        raise KeyboardInterrupt
    with locked_folder(tmp_path):
        pass


def test_the_lock_file_of_a_killed_command_does_not_lock(tmp_path: Path):
    (tmp_path / "lock").touch()
    with locked_folder(tmp_path):
        pass


def test_a_folder_is_locked_under_each_of_its_names(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with locked_target(tmp_path / "real"), pytest.raises(BusyError), locked_target(tmp_path / "link"):
        pytest.fail("two locks at once")


def test_parts_left_by_killed_commands_are_removed_and_nothing_else(tmp_path: Path):
    (tmp_path / "inside").mkdir()
    left = [tmp_path / "a.csv.123.part", tmp_path / "inside" / "x.png.7.part"]
    kept = [tmp_path / name for name in ("a.csv", "mine.part", "b.123.part.txt")]
    for path in (*left, *kept):
        path.touch()
    with locked_folder(tmp_path):
        assert not any(path.exists() for path in left)
    assert all(path.exists() for path in kept)


def test_a_target_removes_its_own_parts_alone(tmp_path: Path):
    own, other = tmp_path / "NET.onnx.12.part", tmp_path / "other.onnx.12.part"
    own.touch()
    other.touch()
    with locked_target(tmp_path / "NET.onnx"):
        assert (own.exists(), other.exists()) == (False, True)


@pytest.mark.parametrize("number", sorted(locks._CANNOT_LOCK))
def test_where_no_lock_can_be_had_the_command_works_without(tmp_path: Path, monkeypatch, number):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with locked_folder(tmp_path):
        (tmp_path / "written").touch()
    assert (tmp_path / "written").exists()
