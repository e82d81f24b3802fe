"""Links that lead out of a folder are found, and those inside it are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from ggcam.errors import RunFolderError
from ggcam.utils.foreign_paths import MAX_NAME_BYTES, check_no_links_out, is_file_name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run" / "inside").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    return tmp_path / "run"


@pytest.mark.parametrize("target", ["../secret.txt", "..", "/etc/passwd", "../does-not-exist", "inside/../.."])
def test_a_link_out_is_refused_by_name(folder: Path, target: str):
    (folder / "link").symlink_to(target)
    with pytest.raises(RunFolderError, match=r"a link leads out(.|\n)*run/link"):
        check_no_links_out(folder, folder, RunFolderError)


def test_a_folder_that_is_a_link_out_is_refused(folder: Path):
    (folder / "checkpoints").symlink_to(folder.parent)
    with pytest.raises(RunFolderError, match="checkpoints"):
        check_no_links_out(folder / "checkpoints", folder, RunFolderError)


def test_links_inside_and_a_linked_root_are_accepted(folder: Path):
    (folder / "inside" / "file").touch()
    (folder / "link").symlink_to("inside/file")
    check_no_links_out(folder, folder, RunFolderError)
    other = folder.with_name("other")
    other.symlink_to(folder)
    check_no_links_out(other, other, RunFolderError)
    check_no_links_out(folder / "missing", folder, RunFolderError)


def test_a_name_that_is_too_long_for_a_file_is_no_file_name():
    assert is_file_name("a" * MAX_NAME_BYTES)
    assert not is_file_name("a" * (MAX_NAME_BYTES + 1))
    assert not is_file_name("ä" * MAX_NAME_BYTES)
