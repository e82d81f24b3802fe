from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from data.dicom_fixture import write_dicom
from data.sources.test_folder import write_text
from ggcam.data.case import Case, Source
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.image_kind import find_channels, find_image_kind, has_colours
from ggcam.data.sources import read
from ggcam.errors import ConfigError


def image(path: Path, colour: tuple[int, int, int]) -> Path:
    cv2.imwrite(str(path), np.full((60, 80, 3), colour, np.uint8))
    return path


def source(*images: Path, kind=None) -> Source:
    cases = tuple(Case(f"c{n}", "p", n % 2, path) for n, path in enumerate(images))
    return Source("mine", ("a", "b"), cases, kind=kind)


def test_colours_are_told_from_shades_of_grey(tmp_path: Path):
    assert has_colours(image(tmp_path / "red.jpg", (30, 40, 200)))
    assert not has_colours(image(tmp_path / "grey.jpg", (90, 90, 90)))
    assert not has_colours(image(tmp_path / "tinted.png", (90, 90, 96)))
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((60, 80), 3000, np.uint16))
    assert not has_colours(tmp_path / "deep.png")
    assert not has_colours(write_text(tmp_path / "text.png", "no image"))
    marked = np.full((600, 800, 3), 90, np.uint8)
    marked[:60, :120] = (0, 0, 255)
    cv2.imwrite(str(tmp_path / "marked.png"), marked)
    assert not has_colours(tmp_path / "marked.png")


@pytest.mark.parametrize(
    ("said", "by_source", "colour", "kind"),
    [
        ("other", "chest", (9, 9, 9), "other"),
        ("chest", None, (30, 40, 200), "chest"),
        (None, "chest", (30, 40, 200), "chest"),
        (None, None, (30, 40, 200), "other"),
        (None, None, (9, 9, 9), "chest"),
    ],
)
def test_settings_come_before_the_source_and_the_source_before_colours(tmp_path: Path, said, by_source, colour, kind):
    images = [image(tmp_path / f"{n}.png", colour) for n in range(3)]
    assert find_image_kind(source(*images, kind=by_source), PrepareConfig(kind=said)) == kind


def test_colours_of_tiff_and_dicom_files_are_found(tmp_path: Path):
    assert has_colours(image(tmp_path / "red.tif", (30, 40, 200)))
    assert not has_colours(image(tmp_path / "grey.tif", (90, 90, 90)))
    rgb = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "PhotometricInterpretation": "RGB"}
    for colour, expected in (((200, 40, 30), True), ((90, 90, 90), False)):
        assert (
            has_colours(write_dicom(tmp_path / "x.dcm", np.full((60, 80, 3), colour, np.uint8), 8, **rgb)) == expected
        )
    assert not has_colours(write_dicom(tmp_path / "grey.dcm", np.full((60, 80), 300, np.uint16)))


RED, GREY = (30, 40, 200), (90, 90, 90)


@pytest.mark.parametrize(
    ("channels", "kind", "by_source", "images", "expected"),
    [
        ("auto", None, None, (RED, RED, RED), 3),
        ("auto", None, "other", (RED, RED, GREY), 3),
        ("auto", None, "other", (RED, GREY, GREY), 1),
        ("auto", None, None, (GREY, GREY, GREY), 1),
        ("auto", None, "chest", (RED, RED, RED), 1),
        ("auto", "chest", "other", (RED, RED, RED), 1),
        ("grey", "other", None, (RED, RED, RED), 1),
        ("colour", "chest", None, (GREY, GREY, GREY), 3),
    ],
)
def test_colours_are_kept_where_most_images_have_them(tmp_path: Path, channels, kind, by_source, images, expected):
    paths = [image(tmp_path / f"{number}.png", colour) for number, colour in enumerate(images)]
    assert find_channels(source(*paths, kind=by_source), PrepareConfig(channels=channels, kind=kind)) == expected


def test_the_originals_data_processing_is_grey(tmp_path: Path):
    red = image(tmp_path / "red.png", RED)
    assert find_channels(source(red), PrepareConfig(preset="original")) == 1
    with pytest.raises(ConfigError, match="the original's Data Processing is for grey images"):
        PrepareConfig(preset="original", channels="colour")


def test_real_x_rays_and_photographs_are_told_apart(real_data):
    for folder, kind, channels in (
        ("nih_boxes", "chest", 1),
        ("paediatric_pneumonia", "chest", 1),
        ("poet", "other", 3),
    ):
        found = read(real_data / folder)
        assert find_image_kind(found, PrepareConfig()) == kind
        assert find_channels(found, PrepareConfig()) == channels
