from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.sources.round_trip import check_boxes_on_rectangles, rectangle
from data.sources.test_folder import add_image
from ggcam.data import sources
from ggcam.data.case import Region
from ggcam.data.sources import coco
from ggcam.errors import DataError, MissingFileError, TableError

CATEGORIES = [{"id": 0, "name": "things", "supercategory": "none"}, {"id": 4, "name": "cat"}, {"id": 2, "name": "dog"}]


def write(path: Path, images: dict[str, list], size=(20, 30), **parts) -> Path:
    """Write annotations: file name -> (category id, annotation) of its objects."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "info": {},
        "images": [
            {"id": 100 + n, "file_name": name, "height": size[0], "width": size[1]} for n, name in enumerate(images)
        ],
        "annotations": [
            {"id": n, "image_id": 100 + at, "category_id": category, **each}
            for at, objects in enumerate(images.values())
            for n, (category, each) in enumerate(objects)
        ],
        "categories": CATEGORIES,
        **parts,
    }
    path.write_text(json.dumps(content))
    return path


BOX = {"bbox": [3, 4, 10, 6]}
SQUARE = {"bbox": [2, 2, 4, 4], "segmentation": [[2, 2, 6, 2, 6, 6, 2, 6]]}


def test_objects_become_labels_boxes_and_masks(tmp_path: Path):
    add_image(tmp_path, "images/a.jpg", "images/b.jpg", "images/c.jpg")
    write(tmp_path / "annotations.json", {"a.jpg": [(4, BOX), (4, SQUARE), (2, BOX)], "b.jpg": [], "c.jpg": [(2, BOX)]})
    source = sources.read(tmp_path)
    assert (source.name, source.class_names, source.kind) == ("coco", ("cat", "dog"), None)
    assert [case.label for case in source.cases] == [(1, 1), (0, 0), (0, 1)]
    a, b, _ = source.cases
    assert a.regions == (Region("cat", "box", 3, 4, 13, 10), Region("dog", "box", 3, 4, 13, 10))
    assert list(a.region_masks) == ["cat"]
    assert a.region_masks["cat"].read(20, 30).sum() == 16
    assert (b.regions, b.region_masks, b.split) == ((), {}, None)
    assert source.dropped == {"category without an object": 1}


def test_one_category_for_each_image_is_its_class(tmp_path: Path):
    add_image(tmp_path, "a.jpg", "deep/b.jpg")
    write(tmp_path / "instances_all.json", {"a.jpg": [(4, BOX), (4, SQUARE)], "deep/b.jpg": [(2, BOX)]})
    source = coco.read(tmp_path)
    assert [case.label for case in source.cases] == [0, 1]
    assert [case.case_id for case in source.cases] == ["a", "deep_b"]


def test_several_files_are_joined_and_their_names_give_the_split(tmp_path: Path):
    for split in ("train", "valid", "test"):
        add_image(tmp_path, f"{split}/a.jpg", f"{split}/b.jpg")
        write(tmp_path / split / "_annotations.coco.json", {"a.jpg": [(4, BOX)], "b.jpg": [(2, BOX)]})
    cases = sources.read(tmp_path).cases
    assert [(case.case_id, case.split) for case in cases] == [
        ("test_a", "test"),
        ("test_b", "test"),
        ("train_a", "train"),
        ("train_b", "train"),
        ("valid_a", "valid"),
        ("valid_b", "valid"),
    ]
    for split in ("train2017", "val2017"):
        add_image(tmp_path / "coco", f"{split}/{split[:3]}1.jpg", f"{split}/{split[:3]}2.jpg")
        names = {f"{split[:3]}1.jpg": [(4, BOX)], f"{split[:3]}2.jpg": [(2, BOX)]}
        write(tmp_path / "coco" / "annotations" / f"instances_{split}.json", names)
    found = [(case.case_id, case.split) for case in sources.read(tmp_path / "coco").cases]
    assert found == [
        ("train2017_tra1", "train"),
        ("train2017_tra2", "train"),
        ("val2017_val1", "valid"),
        ("val2017_val2", "valid"),
    ]


def test_images_may_be_elsewhere_and_missing_ones_be_left_out(tmp_path: Path):
    add_image(tmp_path, "pictures/a.jpg", "pictures/b.jpg")
    names = {"old/a.jpg": [(4, BOX)], "old/b.jpg": [(2, BOX)], "old/c.jpg": [(2, BOX)]}
    path = write(tmp_path / "mine.json", names)
    with pytest.raises(MissingFileError, match=r"1 of 3 images(.|\n)*c\.jpg(.|\n)*--images"):
        coco.read(tmp_path, tmp_path / "pictures", path)
    source = coco.read(tmp_path, tmp_path / "pictures", path, skip_missing=True)
    assert [case.case_id for case in source.cases] == ["a", "b"]
    assert source.dropped["region of an image that is not a case"] == 1


def test_paths_outside_the_folder_are_not_followed(tmp_path: Path):
    add_image(tmp_path, "secret.jpg", "data/a.jpg", "data/b.jpg")
    write(tmp_path / "data" / "annotations.json", {"../secret.jpg": [(4, BOX)], "a.jpg": [(4, BOX)]})
    with pytest.raises(MissingFileError, match="1 of 2 images"):
        coco.read(tmp_path / "data")


def test_boxes_are_on_their_rectangles_after_preparing(tmp_path: Path):
    objects = [(4, {"bbox": [40, 32, 80, 64]})]
    cv2.imwrite(str(tmp_path / "a.png"), rectangle(300, 400, 40, 32, 120, 96))
    cv2.imwrite(str(tmp_path / "b.png"), rectangle(300, 400, 40, 32, 120, 96))
    write(tmp_path / "annotations.json", {"a.png": objects, "b.png": [(2, objects[0][1])]}, size=(300, 400))
    assert check_boxes_on_rectangles(coco.read(tmp_path), tmp_path / "out") == 2


def test_broken_annotations_are_refused(tmp_path: Path):
    add_image(tmp_path, "a.jpg", "b.jpg")
    with pytest.raises(MissingFileError, match="there are no annotations"):
        coco.read(tmp_path)
    path = write(tmp_path / "annotations.json", {"a.jpg": [(9, BOX)]})
    with pytest.raises(TableError, match=r"not in the list of categories(.|\n)*category_id = 9"):
        coco.read(tmp_path)
    write(path, {"a.jpg": [(4, BOX)]})
    with pytest.raises(DataError, match="at least two classes"):
        coco.read(tmp_path)
    write(path, {"a.jpg": [(4, BOX)], "b.jpg": [(2, BOX)]}, size=(9, 9))
    with pytest.raises(DataError, match=r"another size(.|\n)*9x9(.|\n)*20x30"):
        coco.read(tmp_path)
    write(path, {"a.jpg": [(4, BOX)], "./a.jpg": [(2, BOX)]})
    with pytest.raises(DataError, match="same name a"):
        coco.read(tmp_path)
    np.testing.assert_equal(coco.can_read(tmp_path / "nowhere"), False)
