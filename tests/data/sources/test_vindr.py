from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from data.dicom_fixture import write_dicom
from data.sources.round_trip import check_boxes_on_rectangles, rectangle
from data.sources.test_folder import write_text
from ggcam.data import sources
from ggcam.data.case import Region
from ggcam.data.sources import vindr
from ggcam.errors import ConfigError, DataError, GGCamError, MissingFileError, TableError

HEAD = "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max"
ROWS = (
    "b1,Nodule/Mass,8,R9,10,12,20,30",
    "b1,Nodule/Mass,8,R8,11,12,21,30",
    "b1,Nodule/Mass,8,R8,11,12,21,30",
    "b1,Cardiomegaly,3,R9,5,5,45,45",
    "a0,No finding,14,R9,,,,",
    "a0,No finding,14,R10,,,,",
    "c2,Cardiomegaly,3,R8,1.5,2,40,39",
)


def write(root: Path, *rows: str, head: str = HEAD) -> Path:
    (root / "train").mkdir(exist_ok=True)
    for name in ("a0", "b1", "c2"):
        write_dicom(root / "train" / f"{name}.dicom", np.full((60, 50), 7, np.uint16))
    write_text(root / "train.csv", head, *rows)
    return root


def test_all_parts_of_the_layout_are_read(tmp_path: Path):
    source = sources.read(write(tmp_path, *ROWS))
    assert (source.name, source.kind) == ("vindr", "chest")
    assert source.class_names == ("Cardiomegaly", "Nodule/Mass")
    b1, a0, c2 = source.cases
    assert (b1.label, a0.label, c2.label) == ((1, 1), (0, 0), (1, 0))
    assert b1.regions == (
        Region("Nodule/Mass", "box", 10, 12, 20, 30),
        Region("Nodule/Mass", "box", 11, 12, 21, 30),
        Region("Cardiomegaly", "box", 5, 5, 45, 45),
    )
    assert (a0.regions, c2.regions) == ((), (Region("Cardiomegaly", "box", 1.5, 2, 40, 39),))
    assert source.dropped == {"repeated region": 1}


def test_a_finding_may_require_several_radiologists(tmp_path: Path):
    write(tmp_path, *ROWS, "c2,Cardiomegaly,3,R9,1,2,40,39")
    source = vindr.read(tmp_path, min_readers=2)
    assert [case.label for case in source.cases] == [(0, 1), (0, 0), (1, 0)]
    assert source.dropped["box of a finding that fewer than 2 radiologists drew"] == 1
    with pytest.raises(ConfigError, match="at least 1"):
        vindr.read(tmp_path, min_readers=0)
    write(tmp_path, "a0,Mass,1,1,2,2", head="image_id,class_name,x_min,y_min,x_max,y_max")
    with pytest.raises(ConfigError, match="column rad_id"):
        vindr.read(tmp_path, min_readers=2)


def test_the_table_may_be_elsewhere_and_images_be_missing(tmp_path: Path):
    write(tmp_path, *ROWS)
    table = write_text(tmp_path / "mine.csv", HEAD.replace(",class_id,rad_id", ""), "b1,X,1,2,3,4", "q,Y,1,2,3,4")
    with pytest.raises(MissingFileError, match=r"1 of 2 images(.|\n)*q\.dicom"):
        vindr.read(tmp_path, labels=table)
    source = vindr.read(tmp_path, images=tmp_path / "train", labels=table, skip_missing=True)
    assert [case.label for case in source.cases] == [(1, 0)]
    assert source.dropped == {"case whose image is missing": 1, "image that the table does not list": 2}


def test_another_table_of_this_name_is_not_mistaken_for_it(tmp_path: Path):
    for content in ("id,label\n1,2\n", "", "<html>"):
        (tmp_path / "train.csv").write_text(content)
        assert not vindr.can_read(tmp_path)


def test_boxes_are_on_their_rectangles_after_preparing(tmp_path: Path):
    (tmp_path / "train").mkdir()
    for number, (height, width) in enumerate(((200, 160), (300, 401))):
        cv2.imwrite(str(tmp_path / "train" / f"{number}.png"), rectangle(height, width, 40, 32, 120, 96))
    write_text(tmp_path / "train.csv", HEAD, "0,Mass,1,R8,40,32,120,96", "1,Nodule,2,R8,40.0,32.0,120.0,96.0")
    assert check_boxes_on_rectangles(vindr.read(tmp_path), tmp_path / "out") == 2


BROKEN = {
    "no image": (",Mass,1,R8,1,2,3,4", TableError, r"no image_id(.|\n)*csv:2"),
    "no class": ("a0,,1,R8,1,2,3,4", TableError, r"no class_name(.|\n)*csv:2"),
    "a finding without a box": ("a0,Mass,1,R8,,,,", TableError, r"x_min is empty(.|\n)*csv:2"),
    "left right of right": ("a0,Mass,1,R8,9,2,3,4", TableError, r"before its left(.|\n)*csv:2"),
    "one finding": ("a0,Mass,1,R8,1,2,3,4", DataError, "at least two findings"),
    "boxes of large images": (
        "\n".join(f"a0,Mass,1,R8,{n},900,1000,2000" for n in range(30)),
        DataError,
        r"86% of the boxes(.|\n)*not resized",
    ),
}


@pytest.mark.parametrize(("row", "kind", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_input_is_refused_with_place_and_reason(tmp_path, row, kind, message):
    write(tmp_path, row, *(ROWS if "two" not in message else ()))
    with pytest.raises(GGCamError, match=message) as caught:
        vindr.read(tmp_path)
    assert type(caught.value) is kind
