"""The user's cache: kept, read again, and never in the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ggcam.utils.user_cache import cache_folder, read_cached, write_cached


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("GGCAM_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_values_are_kept_beside_each_other(folder):
    assert read_cached("times", "a") is None
    write_cached("times", "a", {"seconds": 0.5})
    write_cached("times", "b", 2)
    write_cached("times", "b", 3)
    assert (read_cached("times", "a"), read_cached("times", "b")) == ({"seconds": 0.5}, 3)
    assert [path.name for path in folder.iterdir()] == ["times.json"]
    assert '"seconds": 0.5' in (folder / "times.json").read_text()


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_file_is_empty_and_written_again(folder, content):
    folder.mkdir()
    (folder / "times.json").write_bytes(content)
    assert read_cached("times", "a") is None
    write_cached("times", "a", 1)
    assert read_cached("times", "a") == 1


def test_a_folder_that_cannot_be_written_keeps_nothing(folder):
    folder.write_text("a file in its place")
    write_cached("times", "a", 1)
    assert read_cached("times", "a") is None


def test_without_a_home_nothing_is_kept(monkeypatch):
    for name in ("GGCAM_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    write_cached("times", "a", 1)
    assert read_cached("times", "a") is None


def test_the_folder_is_where_the_user_keeps_caches(monkeypatch, tmp_path):
    monkeypatch.delenv("GGCAM_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "ggcam"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path(os.path.expanduser("~")) / ".cache" / "ggcam"
