"""Boxes, COCO annotations and masks beside the images of the sources "folder" and "table"."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from data.sources.round_trip import check_boxes_on_rectangles, rectangle
from data.sources.test_folder import add_image, write_text
from ggcam.data.case import Region
from ggcam.data.sources import folder, read
from ggcam.errors import ConfigError, DataError, GGCamError, MissingFileError, TableError

HEAD = "image,name,x0_px,y0_px,x1_px,y1_px"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three images of 20x30 pixels with labels."""
    add_image(tmp_path, "img/a.png", "img/b.jpg", "img/c.dcm")
    write_text(
        tmp_path / "labels.csv",
        "image,labels,patient_id",
        "img/a.png,Mass|Nodule,p1",
        "img/b.jpg,Nodule,p2",
        "img/c.dcm,No Finding,p3",
    )
    return tmp_path


def mask(path: Path, rows: slice, columns: slice, size=(20, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = np.zeros(size, np.uint8)
    drawn[rows, columns] = 1
    cv2.imwrite(str(path), drawn)
    return path


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


def coco(*annotations, size=(20, 30), file_name="img/a.png"):
    return {
        "images": [{"id": 7, "file_name": file_name, "height": size[0], "width": size[1]}],
        "categories": [{"id": 1, "name": "Mass"}, {"id": 2, "name": "Nodule"}],
        "annotations": [{"id": n, "image_id": 7, **each} for n, each in enumerate(annotations)],
    }


def write_coco(root, content):
    path = root / "annotations.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


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


# --- broken files


def table(*lines, head=HEAD):
    return lambda root: write_text(root / "regions.csv", head, *lines)


def annotation(**changes):
    entry = {"category_id": 1, "bbox": [1, 2, 10, 10], **changes}
    return lambda root: write_coco(root, coco(entry))


def whole(**changes):
    return lambda root: write_coco(root, {**coco({"category_id": 1, "bbox": [1, 2, 3, 4]}), **changes})


def masks(*paths, size=(20, 30)):
    def write(root):
        for path in paths:
            mask(root / "masks" / path, slice(0, 2), slice(0, 2), size)
        return root / "masks"

    return write


TWICE = [{"id": 1, "name": "Mass"}, {"id": 1, "name": "Nodule"}]
IMAGE = {"id": 7, "file_name": "img/a.png", "height": 20, "width": 30}
BROKEN = {
    "right before left": (table("img/a.png,Mass,9,2,3,4"), TableError, r"before its left(.|\n)*csv:2(.|\n)*9 to 3"),
    "NaN": (table("img/a.png,Mass,NaN,2,3,4"), TableError, r"x0_px is empty(.|\n)*regions\.csv:2"),
    "infinite": (table("img/a.png,Mass,1,2,inf,4"), TableError, r"x1_px is not a finite number(.|\n)*csv:2"),
    "a word": (table("img/a.png,Mass,1,2,wide,4"), TableError, r"x1_px is not a finite number(.|\n)*'wide'"),
    "no image": (table(",Mass,1,2,3,4"), TableError, r"no image(.|\n)*csv:2"),
    "no name": (table("img/a.png,,1,2,3,4"), TableError, r"no name(.|\n)*csv:2"),
    "unknown kind": (
        table("img/a.png,Mass,1,2,3,4,star", head=f"{HEAD},kind"),
        TableError,
        r"unknown kind(.|\n)*csv:2(.|\n)*'star'",
    ),
    "unknown images": (
        table("q.png,Mass,1,2,3,4"),
        TableError,
        r"none of the images in the table of regions(.|\n)*q\.png",
    ),
    "boxes of large images": (
        table(*[f"img/a.png,Mass,{n},500,700,800" for n in range(25)]),
        DataError,
        r"100% of the boxes(.|\n)*not resized ones",
    ),
    "no names": (table("img/a.png,1,2,3,4", head="image,x0_px,y0_px,x1_px,y1_px"), TableError, "no column of names"),
    "other columns": (table("img/a.png,1", head="image,area"), TableError, r"no columns of regions(.|\n)*area, image"),
    "negative width": (
        table("a.png,Mass,5,5,-2,3,,,", head="Image Index,Finding Label,Bbox [x,y,w,h],,,"),
        TableError,
        r"w is negative(.|\n)*csv:2",
    ),
    "short row": (
        table("a.png,Mass,5,5", head='Image Index,Finding Label,"Bbox [x,y,w,h]",,,'),
        TableError,
        r"too short(.|\n)*csv:2(.|\n)*6 fields",
    ),
    "RSNA without target": (
        table("a,1,2,3,4,yes", head="patientId,x,y,width,height,Target"),
        TableError,
        "Target is not a finite number",
    ),
    "not JSON": (lambda root: write_coco(root, '{"images": ['), TableError, r"valid JSON(.|\n)*end at line 1"),
    "NaN in JSON": (
        lambda root: write_coco(root, json.dumps(coco({"category_id": 1, "bbox": [1, 2, float("nan"), 4]}))),
        TableError,
        "NaN, which JSON does not have",
    ),
    "a list": (lambda root: write_coco(root, "[]"), TableError, "no list of images"),
    "a log-in page": (lambda root: write_coco(root, "<html>"), TableError, r"a web page(.|\n)*sign in"),
    "no categories": (whole(categories=None), TableError, "no list of categories"),
    "nameless category": (whole(categories=[{"id": 1}]), TableError, r"no name(.|\n)*categories\[0\]"),
    "repeated category id": (whole(categories=TWICE), TableError, r"category id is repeated(.|\n)*categories\[1\]"),
    "unknown category": (
        annotation(category_id=9),
        TableError,
        r"not in the list of categories(.|\n)*annotations\[0\](.|\n)*1, 2(.|\n)*category_id = 9",
    ),
    "no category": (annotation(category_id=None), TableError, r"category_id is missing(.|\n)*annotations\[0\]"),
    "repeated image id": (whole(images=[IMAGE, IMAGE]), TableError, r"image id is repeated(.|\n)*images\[1\]"),
    "no file name": (whole(images=[{"id": 7, "height": 20, "width": 30}]), TableError, "no file_name"),
    "no size": (whole(images=[{"id": 7, "file_name": "img/a.png"}]), TableError, r"no height and width(.|\n)*None"),
    "an entry that is a number": (whole(annotations=[3]), TableError, r"not an object(.|\n)*annotations\[0\]"),
    "three numbers": (annotation(bbox=[1, 2, 3]), TableError, r"not x, y, width, height(.|\n)*annotations\[0\]"),
    "a box of words": (annotation(bbox=["1", 2, 3, 4]), TableError, r"finite numbers(.|\n)*annotations\[0\]\.bbox"),
    "a huge number": (annotation(bbox=[1, 2, 10**400, 4]), TableError, "finite numbers"),
    "negative box": (annotation(bbox=[1, 2, -3, 4]), TableError, r"width or height of a box is negative(.|\n)*-3"),
    "odd polygon": (annotation(segmentation=[[1, 2, 3, 4, 5, 6, 7]]), TableError, "odd number of coordinates"),
    "polygon in one list": (annotation(segmentation=[1, 2, 3, 4, 5, 6]), TableError, "not a list of finite numbers"),
    "segmentation in words": (annotation(segmentation="all"), TableError, "neither polygons nor run lengths"),
    "runs of another size": (
        annotation(segmentation={"size": [30, 20], "counts": [600]}),
        TableError,
        r"another size(.|\n)*annotations\[0\]\.segmentation(.|\n)*\[20, 30\](.|\n)*\[30, 20\]",
    ),
    "runs too short": (
        annotation(segmentation={"size": [20, 30], "counts": [500, 20]}),
        TableError,
        r"do not cover(.|\n)*600 pixels(.|\n)*520",
    ),
    "negative runs": (
        annotation(segmentation={"size": [20, 30], "counts": [-1, 601]}),
        TableError,
        "not numbers of pixels",
    ),
    "damaged runs": (
        annotation(segmentation={"size": [20, 30], "counts": "3é"}),
        TableError,
        r"compressed run lengths are damaged(.|\n)*'é'",
    ),
    "annotations of a larger image": (
        lambda root: write_coco(root, coco({"category_id": 1, "bbox": [1, 2, 3, 4]}, size=(40, 60))),
        DataError,
        r"another size(.|\n)*img/a\.png(.|\n)*40x60(.|\n)*20x30",
    ),
    "annotations of other images": (
        lambda root: write_coco(root, coco(file_name="q.png")),
        TableError,
        "none of the images in the file of annotations",
    ),
    "masks of other images": (masks("Mass/q.png"), TableError, r"none of the images in the folder of masks(.|\n)*q"),
    "an empty folder of masks": (lambda root: (root / "masks").mkdir() or root / "masks", DataError, "no masks"),
    "too many findings": (masks(*[f"m{n}/a.png" for n in range(17)]), DataError, r"more than 16 findings"),
}


@pytest.mark.parametrize(("spoil", "kind", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_regions_are_refused_with_place_and_reason(root, spoil, kind, message):
    path = spoil(root)
    option = {"masks": path} if path.is_dir() else {"regions": path}
    with pytest.raises(GGCamError, match=message) as caught:
        folder.read(root, **option)
    assert type(caught.value) is kind
    assert path.name in str(caught.value)


def test_missing_and_ambiguous_files_are_refused(root):
    with pytest.raises(MissingFileError, match=r"file of regions does not exist(.|\n)*none\.csv"):
        folder.read(root, regions=root / "none.csv")
    with pytest.raises(MissingFileError, match="folder of masks does not exist"):
        folder.read(root, masks=root / "none")
    table()(root)
    write_text(root / "boxes.csv", HEAD)
    with pytest.raises(ConfigError, match=r"several tables of regions(.|\n)*--regions"):
        folder.read(root)
    assert folder.read(root, regions=root / "boxes.csv").cases[0].regions == ()


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
