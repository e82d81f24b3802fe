from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

from data.sources.round_trip import check_boxes_on_rectangles, check_gaze_on_spots, rectangle, spot
from ggcam.data import sources
from ggcam.data.case import Region
from ggcam.data.sources import poet
from ggcam.errors import ConfigError, DataError, GGCamError, MissingFileError
from ggcam.utils.worker_process import WorkerError

FIELDS = ("filename", "dimensions", "gtbb", "rt", "response", "imScalingFactor", "displayOffset", "fixations")
FIRST = ([7.0, 184.0], [3.0, 4.0])
"""Times and position of the fixation before the image appeared."""


def struct(**fields):
    """A structure of MATLAB, as a record array of one."""
    record = np.empty((1, 1), dtype=[(name, object) for name in fields])
    for name, value in fields.items():
        record[name][0, 0] = value
    return record


def eye(*fixations):
    """Fixations as (start_ms, end_ms, x, y), after the first one."""
    rows = [(*FIRST[0], *FIRST[1]), *fixations]
    return struct(time=np.array([row[:2] for row in rows]), pos=np.array([row[2:] for row in rows]))


def observer(*fixations):
    left = eye(*[(start, end, x + 500, y + 500) for start, end, x, y in fixations])
    both = struct(fixR=eye(*fixations), fixL=left)
    return struct(scrnCoord=both, imgCoord=both)


def record(name, shape, boxes, *observers):
    """A record of the download: `observers` are lists of fixations, or structures."""
    cells = [each if isinstance(each, np.ndarray) else observer(*each) for each in observers]
    dtype = [(field, object) for field in cells[0].dtype.names]
    fixations = np.empty((1, len(cells)), dtype=dtype)
    for at, each in enumerate(cells):
        fixations[0, at] = each[0, 0]
    values = (name, np.array(shape), np.array(boxes), np.ones(5), np.ones(5), 1, np.zeros(2), fixations)
    return dict(zip(FIELDS, values, strict=True))


def write(root: Path, class_name: str, *records):
    """Write `etData_<class>.mat`, an array of structures."""
    root.mkdir(parents=True, exist_ok=True)
    array = np.empty((1, len(records)), dtype=[(field, object) for field in FIELDS])
    for at, each in enumerate(records):
        for field in FIELDS:
            array[field][0, at] = each[field]
    savemat(root / f"etData_{class_name}.mat", {"etData": array})


def image(root: Path, name: str, pixels: np.ndarray):
    (root / "JPEGImages").mkdir(exist_ok=True)
    cv2.imwrite(str(root / "JPEGImages" / f"{name}.jpg"), pixels, [cv2.IMWRITE_JPEG_QUALITY, 100])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A cat with two boxes, a cat that is also a dog, and a dog, of which one observer saw nothing."""
    for name in ("2008_1", "2008_2", "2009_3"):
        image(tmp_path, name, np.full((40, 60), 90, np.uint8))
    seen = [(200, 450, 10.5, 20.25), (500, 900, 30, 8)]
    write(
        tmp_path / "etData",
        "cat",
        record(
            "2008_1", (40, 60, 3), [[1, 1, 60, 40], [11, 6, 20, 15]], seen, [(100, 200, 70, 5), (210, 300, 1, 1)], seen
        ),
        record("2008_2", (40, 60, 3), [1, 1, 60, 40], seen),
    )
    write(
        tmp_path / "etData",
        "dog",
        record("2009_3", (40, 60), [5, 5, 30, 30], seen, [], [(1, 2, np.nan, np.nan), (90, 120, 3, 3)]),
        record("2008_2", (40, 60, 3), [1, 1, 60, 40], seen),
    )
    return tmp_path


def test_all_parts_of_the_layout_are_read(root: Path):
    source = sources.read(root)
    assert (source.name, source.class_names, source.kind) == ("poet", ("cat", "dog"), "other")
    cat, dog = source.cases
    assert (cat.case_id, cat.label, dog.case_id, dog.label) == ("2008_1", 0, "2009_3", 1)
    assert cat.regions == (Region("cat", "box", 0, 0, 60, 40), Region("cat", "box", 10, 5, 20, 15))
    assert list(cat.readings) == ["1", "2", "3"]
    gaze = cat.readings["1"]
    np.testing.assert_allclose(gaze.x_px, [10.5, 30])
    np.testing.assert_allclose(gaze.y_px, [20.25, 8])
    np.testing.assert_allclose(gaze.start_s, [0.2, 0.5])
    np.testing.assert_allclose(gaze.duration_s, [0.25, 0.4])
    assert {name: len(reading) for name, reading in dog.readings.items()} == {"1": 2, "3": 1}
    assert source.dropped == {
        "record of an image in several classes": 2,
        "first fixation, from before the image appeared": 6,
        "fixation off the image": 1,
        "fixation without position or duration": 1,
    }


def test_positions_follow_resized_copies(root: Path):
    for path in (root / "JPEGImages").iterdir():
        cv2.imwrite(str(path), np.full((20, 30), 90, np.uint8))
    cat = poet.read(root).cases[0]
    np.testing.assert_allclose(cat.readings["1"].x_px, [5.25, 15])
    assert cat.regions[1] == Region("cat", "box", 5, 2.5, 10, 7.5)


def test_gaze_is_on_its_spot_after_preparing(tmp_path: Path):
    for number, (row, column, height, width) in enumerate(
        ((20, 60, 200, 160), (150, 30, 180, 300), (99, 99, 128, 128))
    ):
        name = f"2008_{number}"
        image(tmp_path, name, spot(height, width, row, column))
        found = record(name, (height, width, 3), [1, 1, width, height], [(100, 900, column + 0.5, row + 0.5)])
        write(tmp_path, ("cat", "dog", "cow")[number], found)
    assert check_gaze_on_spots(poet.read(tmp_path), tmp_path / "out") == 3


def test_boxes_are_on_their_rectangles_after_preparing(tmp_path: Path):
    for number, (height, width) in enumerate(((200, 160), (180, 300))):
        image(tmp_path, f"2008_{number}", rectangle(height, width, 40, 32, 120, 96))
        found = record(f"2008_{number}", (height, width, 3), [41, 33, 120, 96], [(100, 900, 60, 60)])
        write(tmp_path, ("cat", "dog")[number], found)
    assert check_boxes_on_rectangles(poet.read(tmp_path), tmp_path / "out") == 2


def other_shape(root):
    image(root, "2009_3", np.full((40, 50), 90, np.uint8))


def without(field):
    def spoil(root):
        array = np.empty((1, 1), dtype=[("filename", object), ("dimensions", object)])
        array["filename"][0, 0], array["dimensions"][0, 0] = "a", np.array([4, 5])
        savemat(root / "etData" / "etData_dog.mat", {"etData": array if field else np.zeros(3)})

    return spoil


BROKEN = {
    "no images": (
        lambda root: [p.unlink() for p in root.rglob("*.jpg")],
        MissingFileError,
        r"2 of 2 images(.|\n)*--images",
    ),
    "another aspect": (
        other_shape,
        DataError,
        r"1 of 2 images have another aspect(.|\n)*2009_3(.|\n)*40x60(.|\n)*40x50",
    ),
    "one class": (lambda root: (root / "etData" / "etData_dog.mat").unlink(), DataError, "at least two classes"),
    "cut off": (
        lambda root: (p := root / "etData" / "etData_dog.mat").write_bytes(p.read_bytes()[:900]),
        DataError,
        r"damaged or cut off(.|\n)*etData_dog",
    ),
    "text": (
        lambda root: (root / "etData" / "etData_dog.mat").write_text("no matrix"),
        DataError,
        r"damaged or cut off(.|\n)*etData_dog",
    ),
    "LFS": (
        lambda root: (root / "etData" / "etData_dog.mat").write_text("version https://git-lfs"),
        DataError,
        r"Git LFS pointer(.|\n)*git lfs pull",
    ),
    "no variable": (
        lambda root: savemat(root / "etData" / "etData_dog.mat", {"other": 3}),
        DataError,
        r"no variable etData(.|\n)*etData_dog",
    ),
    "a record without gaze": (without("fixations"), DataError, r"another layout(.|\n)*etData_dog\.mat: record 1"),
    "numbers for records": (without(None), DataError, r"another layout(.|\n)*record 1"),
    "a path for a name": (
        lambda root: write(root / "etData", "dog", record("../x", (40, 60), [1, 1, 2, 2], [])),
        DataError,
        r"no valid size or name(.|\n)*'\.\./x'",
    ),
}


@pytest.mark.parametrize(("spoil", "kind", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_input_is_refused_with_place_and_reason(root, spoil, kind, message):
    spoil(root)
    with pytest.raises(GGCamError, match=message) as caught:
        poet.read(root)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("reason", "kind", "message"),
    [
        ("crashed", DataError, r"damaged or cut off(.|\n)*etData_cat\.mat(.|\n)*signal 11"),
        ("overran", DataError, r"damaged or cut off(.|\n)*etData_cat\.mat"),
        ("not started", ConfigError, r"could start(.|\n)*free some memory"),
    ],
)
def test_a_file_that_crashes_its_decoder_is_damaged(root: Path, monkeypatch, reason, kind, message):
    def crash(*_):
        raise WorkerError(reason, "signal 11")

    monkeypatch.setattr(poet, "call_in_worker", crash)
    with pytest.raises(kind, match=message):
        poet.read(root)


def test_missing_images_are_left_out_with_skip_missing(root: Path):
    (root / "JPEGImages" / "2008_1.jpg").unlink()
    source = poet.read(root, images=root / "JPEGImages", skip_missing=True)
    assert [case.case_id for case in source.cases] == ["2009_3"]
    assert source.dropped["case whose image is missing"] == 1
    with pytest.raises(MissingFileError, match="there is no gaze"):
        poet.read(root / "JPEGImages")


def test_real_files_agree_with_the_tables_made_from_them(real_data, tmp_path: Path):
    """The tables join the readings of an image in several of the ten classes; here are two of them."""
    folder = real_data / "poet"
    for name in ("cow", "horse"):
        shutil.copy(folder / "original_layout" / f"etData_{name}.mat", tmp_path)
    cases = poet.read(tmp_path, images=folder / "images", skip_missing=True).cases
    boxes = pd.read_csv(folder / "boxes.csv")
    counts = boxes.groupby("image")["label"].nunique()
    in_one_class = [case for case in cases if counts[f"images/{case.case_id}.jpg"] == 1]
    assert len(in_one_class) > 480
    gaze = {(f"images/{case.case_id}.jpg", int(n)): each for case in in_one_class for n, each in case.readings.items()}
    found = pd.concat(
        pd.DataFrame({"image": image, "reader": reader, "start_s": each.start_s, "x": each.x_px, "y": each.y_px})
        for (image, reader), each in gaze.items()
    )
    table = pd.read_csv(folder / "fixations.csv").merge(found.round({"start_s": 3}), on=["image", "reader", "start_s"])
    assert len(table) == len(found) > 7000
    np.testing.assert_allclose(table["x"], table["x_px"], atol=0.1)
    np.testing.assert_allclose(table["y"], table["y_px"], atol=0.1)
    corners = boxes.set_index("image")[["x0_px", "y0_px", "x1_px", "y1_px"]]
    for case in in_one_class:
        expected = corners.loc[[f"images/{case.case_id}.jpg"]].to_numpy()
        read = np.array([[box.x0_px, box.y0_px, box.x1_px, box.y1_px] for box in case.regions])
        # The table leaves the first pixel, counted from 1, where it is.
        np.testing.assert_allclose(read, expected, atol=1.01)
