"""Broken files of regions: each is refused with the place and the reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.sources.region_fixture import HEAD, coco, mask, three_images, write_coco
from data.sources.test_folder import write_text
from ggcam.data.sources import folder
from ggcam.errors import ConfigError, DataError, GGCamError, MissingFileError, TableError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return three_images(tmp_path)


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
