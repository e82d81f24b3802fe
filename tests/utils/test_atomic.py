import errno
import os

import pytest

from ggcam.utils.atomic import atomic_path, atomic_write, naming_place


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "a.txt"
    atomic_write(path, "one")
    atomic_write(path, b"two")
    assert path.read_text() == "two"
    assert list(tmp_path.iterdir()) == [path]


def fail_half_way(path):
    with atomic_path(path) as aside:
        aside.write_text("tw")
        raise ValueError("half-way")


def test_a_block_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    atomic_write(path, "one")
    with pytest.raises(ValueError, match="half-way"):
        fail_half_way(path)
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_created(tmp_path):
    atomic_write(tmp_path / "new" / "folder" / "a.txt", "one")
    assert (tmp_path / "new" / "folder" / "a.txt").read_text() == "one"


def test_an_error_of_the_system_names_the_file_and_not_its_temporary_path(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(OSError, match="No space") as raised, atomic_path(path):
        raise OSError(28, "No space left on device")
    assert raised.value.filename == str(path)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"File exists|Not a directory") as raised:
        atomic_write(tmp_path / "file" / "a.txt", "x")
    assert ".part" not in str(raised.value.filename)


def test_the_content_is_on_the_disk_before_the_file_has_its_name(tmp_path, monkeypatch):
    path, synced = tmp_path / "a.txt", []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (synced.append(path.exists()), fsync(number)))
    atomic_write(path, "one")
    assert synced == [False]


def test_an_error_that_names_no_file_gets_the_place(tmp_path):
    with pytest.raises(OSError, match="full") as caught, naming_place(tmp_path):
        raise OSError(errno.ENOSPC, "full")
    assert caught.value.filename == str(tmp_path)
    with pytest.raises(FileNotFoundError) as caught, naming_place(tmp_path):
        (tmp_path / "none").read_bytes()
    assert caught.value.filename == str(tmp_path / "none")
