"""Many image files at once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from data.sources.test_folder import add_image
from ggcam.data.sources.image_files import check_present, images_below, images_by_id, read_sizes
from ggcam.errors import ImageError, MissingFileError


def test_sizes_are_read_and_bad_files_are_skipped_or_reported_together(tmp_path: Path):
    add_image(tmp_path, "a.png", height=20, width=30)
    add_image(tmp_path, "b.dcm", height=40, width=10)
    (tmp_path / "broken.png").write_bytes(b"no image")
    paths = [tmp_path / name for name in ("a.png", "broken.png", "b.dcm", "gone.png")]
    dropped: Counter[str] = Counter()
    assert read_sizes(paths, True, dropped, hint="").tolist() == [[20, 30], [0, 0], [40, 10], [0, 0]]
    assert dropped == {"case whose image is missing": 1, "case whose image cannot be read": 1}
    with pytest.raises(MissingFileError, match=r"1 of 4 images are missing(.|\n)*gone\.png(.|\n)*hint: look; or leave"):
        read_sizes(paths, False, Counter(), hint="look")
    with pytest.raises(ImageError, match=r"1 of 3 images cannot be read(.|\n)*broken\.png"):
        read_sizes(paths[:3], False, Counter(), hint="look")


def test_the_message_about_missing_images_has_the_first_three(tmp_path: Path):
    paths = [tmp_path / f"{number}.png" for number in range(9)]
    with pytest.raises(MissingFileError, match=r"9 of 9(.|\n)*0\.png, .*1\.png, .*2\.png and 6 more"):
        check_present(paths, False, Counter(), hint="look")


def test_images_are_found_at_any_depth_but_not_hidden_ones(tmp_path: Path):
    add_image(tmp_path, "b.png", "x/y/a.jpg", ".hidden/c.png", "x/.d.png")
    (tmp_path / "notes.txt").write_text("")
    assert images_below(tmp_path) == ["b.png", "x/y/a.jpg"]


def test_of_images_with_one_name_the_first_by_path_is_found(tmp_path: Path):
    add_image(tmp_path, "x/a.png", "y/a.jpg", "y/b.png")
    dropped: Counter[str] = Counter()
    assert images_by_id(tmp_path, dropped) == {"a": tmp_path / "x/a.png", "b": tmp_path / "y/b.png"}
    assert dropped == {"image with the same name as another": 1}
    with pytest.raises(MissingFileError, match="folder of images does not exist"):
        images_by_id(tmp_path / "nowhere", dropped)
