"""Boxes, COCO annotations and masks beside the images of the sources "folder" and "table"."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from data.sources.region_fixture import HEAD, coco, mask, three_images, write_coco
from data.sources.round_trip import check_boxes_on_rectangles, rectangle
from data.sources.test_folder import add_image, write_text
from ggcam.data.case import Region
from ggcam.data.sources import folder, read
from ggcam.errors import TableError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return three_images(tmp_path)


TABLES = {
    "regions.csv": (
        [f"{HEAD},kind,note", "img/a.png,mass,1,2,11,12.5,ellipse,x", "img\\b.jpg,Nodule,3,4,5,6,,y"],
        "ellipse",
    ),
    "boxes.csv": (["image,label,x0_px,y0_px,x1_px,y1_px", "a.png,Mass,1,2,11,12.5", "b,nodule,3,4,5,6"], "box"),
    "VinDr-CXR": (
        [
            "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max",
            "a,Mass,3,R8,1,2,11,12.5",
            "c,No finding,14,R9,,,,",
            "b,Nodule,4,R9,3,4,5,6",
        ],
        "box",
    ),
    "ChestX-ray14": (
        ["Image Index,Finding Label,Bbox [x,y,w,h],,,", "a.png,Mass,1,2,10,10.5,,,", "b.jpg,Nodule,3.0,4.0,2.0,2.0,,,"],
        "box",
    ),
}


@pytest.mark.parametrize(("lines", "kind"), TABLES.values(), ids=TABLES)
def test_every_table_of_boxes_is_recognised_by_its_columns(root, tmp_path_factory, lines, kind):
    table = write_text(tmp_path_factory.mktemp("elsewhere") / "mine.csv", *lines)
    a, b, c = read(root, regions=table).cases
    assert a.regions == (Region("Mass", kind, 1, 2, 11, 12.5),)
    assert b.regions == (Region("Nodule", "box", 3, 4, 5, 6),)
    assert c.regions == ()


def test_rsna_boxes_are_pneumonia(root):
    table = write_text(
        root / "stage_2_train_labels.csv",
        "patientId,x,y,width,height,Target",
        "a,1.0,2.0,10.0,10.0,1",
        "a,20.0,2.0,5.0,10.0,1",
        "b,,,,,0",
    )
    source = folder.read(root, regions=table)
    assert source.cases[0].regions == (
        Region("pneumonia", "box", 1, 2, 11, 12),
        Region("pneumonia", "box", 20, 2, 25, 12),
    )
    assert source.dropped["region whose name is not a class (kept)"] == 2


@pytest.mark.parametrize("name", ["regions.csv", "regions.parquet", "boxes.csv"])
def test_a_table_in_the_folder_is_read_without_being_named(root, name):
    table = pd.DataFrame([["img/a.png", "Mass", 1, 2, 3, 4]], columns=HEAD.split(","))
    table.to_parquet(root / name) if name.endswith("parquet") else table.to_csv(root / name, index=False)
    for source in (read(root), read(root, "table", fixations=write_text(root / "p.csv", "image,x,y", "a,1,1"))):
        assert source.cases[0].regions == (Region("Mass", "box", 1, 2, 3, 4),)


def test_joined_labels_are_several_and_no_finding_is_none(root):
    source = folder.read(root)
    assert source.class_names == ("Mass", "Nodule")
    assert [case.label for case in source.cases] == [(1, 1), (0, 1), (0, 0)]
    assert [case.patient_id for case in source.cases] == ["p1", "p2", "p3"]


def test_one_label_for_each_image_is_its_class(root):
    write_text(root / "labels.csv", "image,labels", "img/a.png,Mass", "img/b.jpg,No Finding")
    source = folder.read(root)
    assert source.class_names == ("Mass", "No Finding")
    assert [case.label for case in source.cases] == [0, 1]


def test_regions_of_other_images_are_counted(root):
    (root / "img" / "b.jpg").write_bytes(b"")
    write_text(root / "regions.csv", HEAD, "img/a.png,Mass,1,2,3,4", "z.png,Mass,1,2,3,4", "img/b.jpg,Mass,1,2,3,4")
    dropped = folder.read(root).dropped
    assert dropped["region of an image that is not a case"] == 1
    assert dropped["region of an image that cannot be read"] == 1


# --- masks


def test_folders_of_masks_are_findings_or_anatomy(root):
    mask(root / "masks" / "Mass" / "a.png", slice(2, 5), slice(3, 9))
    mask(root / "masks" / "mass" / "img" / "a.png", slice(10, 12), slice(3, 9))
    mask(root / "masks" / "Nodule" / "img" / "b.png", slice(0, 1), slice(0, 1))
    mask(root / "masks" / "left_lung" / "a.png", slice(0, 9), slice(20, 30))
    mask(root / "masks" / "Nodule" / "stranger.png", slice(0, 1), slice(0, 1))
    source = read(root)
    a, b, c = source.cases
    drawn = a.region_masks["Mass"].read(20, 30)
    assert drawn.sum() == 3 * 6 + 2 * 6
    assert drawn[2:5, 3:9].all()
    assert (list(a.region_masks), list(b.region_masks), list(c.region_masks)) == (["Mass"], ["Nodule"], [])
    assert a.masks == {"left_lung": root / "masks" / "left_lung" / "a.png"}
    assert source.dropped == {"mask of an image that is not a case": 1}


def test_masks_are_no_images_of_class_folders(tmp_path):
    add_image(tmp_path, "healthy/a.png", "sick/b.png")
    mask(tmp_path / "masks" / "sick" / "b.png", slice(0, 3), slice(0, 3))
    source = read(tmp_path)
    assert (len(source.cases), source.dropped) == (2, {})
    assert list(source.cases[1].region_masks) == ["sick"]


def test_masks_and_boxes_of_one_finding_are_both_kept(root):
    write_text(root / "regions.csv", HEAD, "img/a.png,Mass,1,2,3,4")
    masks = root.parent / "elsewhere"
    mask(masks / "Mass" / "a.png", slice(2, 5), slice(3, 9))
    case = folder.read(root, masks=masks).cases[0]
    assert (case.regions, list(case.region_masks)) == ((Region("Mass", "box", 1, 2, 3, 4),), ["Mass"])


# --- COCO annotations beside labels


def test_coco_annotations_are_boxes_and_masks(root):
    path = write_coco(
        root,
        coco(
            {"category_id": 1, "bbox": [1, 2, 10, 10]},
            {"category_id": 2, "bbox": [0, 0, 9, 9], "segmentation": [[2, 2, 6, 2, 6, 5, 2, 5], [9, 9, 9, 9]]},
            {"category_id": 2, "segmentation": {"size": [20, 30], "counts": [580, 20]}},
            {"category_id": 2, "segmentation": {"size": [20, 30], "counts": "4b0"}, "iscrowd": 1},
        ),
    )
    with pytest.raises(TableError, match="do not cover the image"):
        folder.read(root, regions=path)
    content = json.loads(path.read_text())
    content["annotations"][3]["segmentation"]["counts"] = "02fb0"  # 0 outside, 2 inside, 598 outside
    source = folder.read(root, regions=write_coco(root, content))
    case = source.cases[0]
    assert case.regions == (Region("Mass", "box", 1, 2, 11, 12),)
    drawn = case.region_masks["Nodule"].read(20, 30)
    expected = np.zeros((20, 30), bool)
    expected[2:5, 2:6] = expected[:, 29] = expected[:2, 0] = True
    np.testing.assert_array_equal(drawn, expected)
    assert source.dropped == {"polygon with fewer than three corners": 1}


# --- round trip


def test_boxes_are_on_their_rectangles_after_preparing(tmp_path):
    lines = []
    for number, (height, width) in enumerate([(200, 160), (300, 401), (97, 130)]):
        x0, y0, x1, y1 = width // 4, height // 5, width // 2, height // 2
        name = ("x", "y")[number % 2] + f"/{number}.png"
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), rectangle(height, width, x0, y0, x1, y1))
        lines.append(f"{number},x,{x0},{y0},{x1},{y1}")
    write_text(tmp_path / "regions.csv", HEAD, *lines)
    assert check_boxes_on_rectangles(read(tmp_path), tmp_path / "out") == 3


# --- real data


def test_shared_boxes_gaze_and_labels_need_no_script(real_data):
    x_rays = read(real_data / "nih_boxes")
    assert (len(x_rays.cases), len(x_rays.class_names), x_rays.multi_label) == (1285, 8, True)
    assert sum(len(case.regions) for case in x_rays.cases) == 698
    assert len({case.patient_id for case in x_rays.cases}) == 754
    for case in x_rays.cases:
        found = {region.name for region in case.regions}
        assert found == {name for name, value in zip(x_rays.class_names, case.label, strict=True) if value}
    photographs = read(real_data / "poet")
    assert photographs.class_names == ("cat", "cow", "dog", "horse")
    assert (
        sum(len(case.fixations) for case in photographs.cases) + photographs.dropped["fixation off the image"] == 34296
    )
    assert sum(len(case.regions) for case in photographs.cases) == 2814
