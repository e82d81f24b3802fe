"""SHA-256 of files: hashed once, and again as soon as they may have changed."""

from __future__ import annotations

import hashlib
import os

import pytest

from ggcam.utils import digest
from ggcam.utils.digest import SETTLED_S, file_sha256


@pytest.fixture
def hashed(monkeypatch) -> list[str]:
    """Names of the files that are read."""
    names: list[str] = []
    read = digest._sha256
    monkeypatch.setattr(digest, "_sha256", lambda path: names.append(path.name) or read(path))
    return names


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_that_has_not_changed_is_read_once(tmp_path, monkeypatch, hashed):
    (tmp_path / "a").write_bytes(b"weights")
    later = digest.time.time() + SETTLED_S + 1
    monkeypatch.setattr(digest.time, "time", lambda: later)
    assert [file_sha256(tmp_path / "a") for _ in range(3)] == [sha256(b"weights")] * 3
    assert hashed == ["a"]


def test_a_changed_file_is_read_again_even_with_its_old_time_and_size(tmp_path, monkeypatch, hashed):
    path = tmp_path / "a"
    path.write_bytes(b"weights")
    before = path.stat()
    later = digest.time.time() + SETTLED_S + 1
    monkeypatch.setattr(digest.time, "time", lambda: later)
    assert file_sha256(path) == sha256(b"weights")
    digest.time.sleep(0.02)  # the clock of the file system
    path.write_bytes(b"others!")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file_sha256(path) == sha256(b"others!")
    assert hashed == ["a", "a"]


def test_a_file_that_has_just_been_written_is_read_each_time(tmp_path, hashed):
    path = tmp_path / "a"
    for content in (b"1", b"2", b"3"):
        path.write_bytes(content)
        assert file_sha256(path) == sha256(content)
    assert len(hashed) == 3
