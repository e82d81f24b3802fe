"""Bytes as files: readable by other processes, gone afterwards, never on the disk of a Linux system."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ggcam.server.memory_files import memory_file


@pytest.mark.parametrize("in_memory", [True, False])
def test_another_process_reads_it_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: bool):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    elif not hasattr(os, "memfd_create"):
        pytest.skip("the system has no files in memory")
    with memory_file(b"content") as path:
        code = "import sys, pathlib; print(pathlib.Path(sys.argv[1]).read_bytes())"
        read = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True).stdout
        assert read == "b'content'\n"
        assert bool(list(tmp_path.iterdir())) is not in_memory
    assert not list(tmp_path.iterdir())
    assert not path.exists()


def test_it_is_removed_when_its_user_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delattr(os, "memfd_create", raising=False)
    with pytest.raises(ValueError, match="decoder"), memory_file(b"content"):
        raise ValueError("decoder")
    assert not list(tmp_path.iterdir())
