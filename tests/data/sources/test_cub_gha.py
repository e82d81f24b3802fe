from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from data.sources.round_trip import check_boxes_on_rectangles, check_gaze_on_spots, rectangle, spot
from data.sources.test_folder import write_text
from ggcam.data import sources
from ggcam.data.case import Region
from ggcam.data.sources import cub_gha
from ggcam.errors import DataError, GGCamError, MissingFileError, TableError


def birds(root: Path, *pixels: np.ndarray, boxes: tuple[str, ...] = ()) -> Path:
    """Write CUB-200-2011 with one image per bird, of two species in turns; the last bird is for testing."""
    folder = root / "CUB_200_2011"
    names = [f"00{1 + n % 2}.Bird_{n % 2}/Bird_{n:04}.jpg" for n in range(len(pixels))]
    for name, each in zip(names, pixels, strict=True):
        (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / "images" / name), each, [cv2.IMWRITE_JPEG_QUALITY, 100])
    last = len(pixels)
    write_text(folder / "images.txt", *(f"{n} {name}" for n, name in enumerate(names, start=1)))
    write_text(folder / "classes.txt", "1 001.Bird_0", "2 002.Bird_1")
    write_text(folder / "image_class_labels.txt", *(f"{n + 1} {1 + n % 2}" for n in range(last)))
    write_text(folder / "train_test_split.txt", *(f"{n} {int(n < last)}" for n in range(1, last + 1)))
    write_text(
        folder / "bounding_boxes.txt",
        *(f"{n} {box}" for n, box in enumerate(boxes or ["6.0 4.0 20.0 10.0"] * last, start=1)),
    )
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three birds; two runs, one with commas and one with blanks; the third bird has no gaze."""
    birds(tmp_path, *[np.full((40, 60), 90, np.uint8)] * 3)
    runs = tmp_path / "data_5runs"
    runs.mkdir()
    write_text(runs / "Fixation_run1.txt", "1,60,40,3,3,90,10.5,12,250,70,5,100,", "2, 60, 40, 3, 3, 90, 20, 10, 300")
    write_text(runs / "Fixation_run2.txt", "1 60 40 3 3 90 8 9 120", "", "9 60 40 3 3 90 8 9 120")
    return tmp_path


def test_all_parts_of_the_layout_are_read(root: Path):
    source = sources.read(root)
    assert (source.name, source.class_names, source.kind) == ("cub_gha", ("001.Bird_0", "002.Bird_1"), "other")
    first, second = source.cases
    assert (first.case_id, first.label, second.label) == ("Bird_0000", 0, 1)
    assert first.regions == (Region("001.Bird_0", "box", 6, 4, 26, 14),)
    assert first.split in ("train", "valid")
    assert list(first.readings) == ["run1", "run2"]
    np.testing.assert_allclose(first.readings["run1"].x_px, [10.5])
    np.testing.assert_allclose(first.readings["run1"].duration_s, [0.25])
    assert np.isnan(first.readings["run1"].start_s).all()
    assert source.dropped == {
        "gaze on an image that is not a case": 1,
        "image without gaze": 1,
        "first fixation, from before the image appeared": 3,
        "fixation off the image": 1,
    }


def test_positions_and_boxes_follow_resized_copies(root: Path):
    for path in (root / "CUB_200_2011").rglob("*.jpg"):
        cv2.imwrite(str(path), np.full((20, 30), 90, np.uint8))
    first = cub_gha.read(root).cases[0]
    np.testing.assert_allclose(first.readings["run1"].y_px, [6])
    assert first.regions == (Region("001.Bird_0", "box", 3, 2, 13, 7),)


def test_images_may_be_elsewhere_and_missing_ones_be_left_out(root: Path, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("cub") / "birds"
    (root / "CUB_200_2011").rename(elsewhere)
    next(elsewhere.rglob("Bird_0000.jpg")).unlink()
    with pytest.raises(MissingFileError, match="1 of 2 images"):
        cub_gha.read(root, images=elsewhere)
    source = cub_gha.read(root, images=elsewhere, skip_missing=True)
    assert [case.case_id for case in source.cases] == ["Bird_0001"]


def test_gaze_and_boxes_are_on_their_places_after_preparing(tmp_path: Path):
    places = [(20, 60, 200, 160), (150, 30, 180, 300), (99, 99, 128, 128)]
    birds(tmp_path, *(spot(height, width, row, column) for row, column, height, width in places))
    lines = [f"{n},{w},{h},0,0,9,{c + 0.5},{r + 0.5},400" for n, (r, c, h, w) in enumerate(places, start=1)]
    write_text(tmp_path / "Fixation_run1.txt", *lines)
    assert check_gaze_on_spots(cub_gha.read(tmp_path), tmp_path / "out") == 3
    shapes = [rectangle(height, width, 40, 32, 120, 96) for _, _, height, width in places]
    birds(tmp_path, *shapes, boxes=("40.0 32.0 80.0 64.0",) * 3)
    assert check_boxes_on_rectangles(cub_gha.read(tmp_path), tmp_path / "boxes") == 3


def replaced(name, *lines):
    def spoil(root):
        write_text(next(root.rglob(name)), *lines)

    return spoil


BROKEN = {
    "no table": (
        lambda root: next(root.rglob("images.txt")).unlink(),
        MissingFileError,
        r"does not exist(.|\n)*images\.txt",
    ),
    "an id twice": (replaced("images.txt", "1 a.jpg", "1 b.jpg"), TableError, r"id of its own(.|\n)*images\.txt:2"),
    "half a box": (replaced("bounding_boxes.txt", "1 2 3"), TableError, r"an id and 4 values(.|\n)*'1 2 3'"),
    "a box of words": (
        replaced("bounding_boxes.txt", "1 a b c d", "2 1 1 2 2", "3 1 1 2 2"),
        TableError,
        r"not a finite number(.|\n)*bounding_boxes\.txt, image 1(.|\n)*a b c d",
    ),
    "no box": (replaced("bounding_boxes.txt", "1 1 1 2 2"), TableError, r"1 images are not in the file(.|\n)*got: 2"),
    "unknown class": (replaced("image_class_labels.txt", "1 7", "2 1"), TableError, r"classes\.txt(.|\n)*image 1"),
    "two numbers": (replaced("Fixation_run1.txt", "1,60,40,3,3"), TableError, r"another form(.|\n)*run1\.txt:1"),
    "NaN": (replaced("Fixation_run1.txt", "1,60,40,3,3,nan"), TableError, r"not a finite number(.|\n)*line 1"),
    "an image twice": (replaced("Fixation_run1.txt", "1,60,40", "1,60,40"), TableError, r"two lines(.|\n)*run1\.txt:2"),
    "another aspect": (
        replaced("Fixation_run1.txt", "1,60,60,3,3,1,4,4,4"),
        DataError,
        r"another aspect ratio(.|\n)*60x60(.|\n)*40x60",
    ),
    "a web page": (replaced("Fixation_run1.txt", "<html>"), TableError, r"a web page(.|\n)*sign in"),
    "other birds": (
        lambda root: [write_text(path, "77,60,40,1,1,1") for path in root.rglob("Fixation*")],
        DataError,
        "none of the images with gaze",
    ),
}


@pytest.mark.parametrize(("spoil", "kind", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_input_is_refused_with_place_and_reason(root, spoil, kind, message):
    spoil(root)
    with pytest.raises(GGCamError, match=message) as caught:
        cub_gha.read(root)
    assert type(caught.value) is kind
