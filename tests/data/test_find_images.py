"""Images in folders: what is found, and what is skipped is counted and named."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import MediaStorageDirectoryStorage

from data.dicom_fixture import make_dicom, write_bare, write_dicom
from ggcam.data.find_images import (
    BROKEN_LINK,
    DICOMDIR,
    HIDDEN,
    LINK,
    OTHER,
    OVERLAY,
    UNREADABLE,
    find_images,
    image_stem,
    is_image,
)
from ggcam.data.images import IMAGE_SUFFIXES, read_image
from ggcam.data.png import is_marked_png, mark_png
from ggcam.report.overlay import save_png

PIXELS = np.arange(400, dtype=np.uint16).reshape(20, 20)
GREY = (PIXELS // 2).astype(np.uint8)
CASES = Path("../shared/cases/dicom_without_ending")


def write_all(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", GREY)[1].tobytes())


def test_files_are_found_by_endings_in_upper_and_lower_case(tmp_path: Path):
    names = [f"a/x{suffix}" for suffix in IMAGE_SUFFIXES] + [f"b/c/X{suffix.upper()}" for suffix in IMAGE_SUFFIXES]
    write_all(tmp_path, *names)
    found = find_images(tmp_path)
    assert found.images == tuple(sorted(names))
    assert found.skipped == {}


@pytest.mark.parametrize("name", ["IM000001", "I0000002.IMA", "1.2.840.113.7", "image.000", "X.DCM"])
@pytest.mark.parametrize("implicit", [None, True, False], ids=["preamble", "bare implicit", "bare explicit"])
def test_dicom_files_are_found_by_their_content(tmp_path: Path, name: str, implicit: bool | None):
    path = tmp_path / "IMAGES" / name
    path.parent.mkdir()
    if implicit is None:
        write_dicom(path, PIXELS)
    else:
        write_bare(path, make_dicom(PIXELS), implicit)
    assert find_images(tmp_path).images == (f"IMAGES/{name}",)
    assert is_image(path)
    assert read_image(path).shape == (20, 20)


def test_skipped_files_are_named_with_the_reason(tmp_path: Path):
    write_all(tmp_path, "x.png", "._x.jpg", ".thumbnails/y.png", "__MACOSX/a/._z.png", "notes.webp")
    save_png(tmp_path / "x_cam.png", GREY)
    index = make_dicom(PIXELS)
    index.file_meta.MediaStorageSOPClassUID = index.SOPClassUID = MediaStorageDirectoryStorage
    index.save_as(tmp_path / "DICOMDIR", enforce_file_format=True)
    (tmp_path / "LICENSE").write_text("free")
    (tmp_path / "volume.nii.gz").write_bytes(b"\x1f\x8b")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "elsewhere").symlink_to(tmp_path.parent, target_is_directory=True)
    found = find_images(tmp_path)
    assert found.images == ("x.png",)
    assert found.skipped == {
        HIDDEN: ("._x.jpg", ".thumbnails/y.png", "__MACOSX/a/._z.png"),
        OVERLAY: ("x_cam.png",),
        DICOMDIR: ("DICOMDIR",),
        LINK: ("elsewhere",),
        BROKEN_LINK: ("gone.png",),
        OTHER: ("LICENSE", "notes.webp", "volume.nii.gz"),
    }
    files = [name for names in found.skipped.values() for name in names if "/" not in name]
    assert not any(is_image(tmp_path / name) for name in files)


def test_tables_texts_recordings_and_files_of_the_system_are_not_reported(tmp_path: Path):
    for name in ("labels.csv", "gaze.tsv.gz", "S1.ASC", "notes.txt", ".DS_Store", "Thumbs.db", ".git/config"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"any")
    found = find_images(tmp_path)
    assert (found.images, found.skipped) == ((), {})


def test_an_image_of_the_user_that_is_named_like_an_overlay_is_taken(tmp_path: Path):
    write_all(tmp_path, "x_cam.png")
    assert find_images(tmp_path).images == ("x_cam.png",)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "IM1").write_bytes(b"x")

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)
    assert find_images(tmp_path).skipped == {UNREADABLE: ("IM1",)}


def test_skipped_files_are_logged_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    write_all(tmp_path, *(f"._{number}.png" for number in range(5)))
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    dropped = Counter({HIDDEN: 1})
    with caplog.at_level(logging.WARNING):
        find_images(tmp_path).report_skipped(tmp_path, dropped)
    assert dropped == {HIDDEN: 6, BROKEN_LINK: 1}
    expected = "broken link: 1 (gone.png); hidden image file: 5 (._0.png, ._1.png, ._2.png and 2 more)"
    assert f"{tmp_path}: skipped files: {expected}" in caplog.text


def test_a_folder_may_be_left_out(tmp_path: Path):
    write_all(tmp_path, "a/x.png", "masks/lump/x.png")
    assert find_images(tmp_path, exclude=tmp_path / "masks").images == ("a/x.png",)


@given(st.binary(max_size=600))
def test_any_content_is_an_image_or_has_a_reason(tmp_path_factory, content: bytes):
    root = tmp_path_factory.mktemp("any")
    (root / "file").write_bytes(content)
    found = find_images(root)
    assert len(found.images) + sum(map(len, found.skipped.values())) == 1


@pytest.mark.parametrize(
    ("name", "stem"),
    [("x.png", "x"), ("a/b.DCM", "a/b"), ("1.2.840.113", "1.2.840.113"), ("a.b/IM1", "a.b/IM1"), ("x.y.ima", "x.y")],
)
def test_only_endings_of_images_are_removed(name: str, stem: str):
    assert image_stem(name) == stem


def test_the_mark_of_a_picture_changes_no_pixel(tmp_path: Path):
    plain = cv2.imencode(".png", GREY)[1].tobytes()
    (tmp_path / "plain.png").write_bytes(plain)
    (tmp_path / "marked.png").write_bytes(mark_png(plain))
    assert [is_marked_png(tmp_path / name) for name in ("plain.png", "marked.png", "missing.png")] == [
        False,
        True,
        False,
    ]
    np.testing.assert_array_equal(read_image(tmp_path / "marked.png"), GREY)


def test_the_shared_media_are_found():
    if not CASES.is_dir():
        pytest.skip("the shared cases are not here")
    found = find_images(CASES)
    assert found.images == ("media/IMAGES/I0000002.IMA", "media/IMAGES/IM000001", "ref_window.dcm")
    reference = read_image(CASES / "ref_window.dcm")
    for name in found.images:
        np.testing.assert_array_equal(read_image(CASES / name), reference)
