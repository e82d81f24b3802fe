from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from data.sources.round_trip import check_boxes_on_rectangles, rectangle
from data.sources.test_folder import write_text
from ggcam.data import sources
from ggcam.data.case import Region
from ggcam.data.sources import nih
from ggcam.data.sources.official_split import split_off_validation
from ggcam.errors import ConfigError, DataError, GGCamError, MissingFileError, TableError

HEAD = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
UNQUOTED = f"{HEAD}OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
QUOTED = f'{HEAD}"OriginalImage[Width,Height]","OriginalImagePixelSpacing[x,y]"'
BOX_HEADS = ("Image Index,Finding Label,Bbox [x,y,w,h],,,", 'Image Index,Finding Label,"Bbox [x,y,w,h]"')


def write(
    root: Path, *images: tuple[str, str, int], head: str = UNQUOTED, boxes: tuple[str, ...] = (), box_head: int = 0
) -> Path:
    """Write entries of (name, findings, patient), and grey images in two folders."""
    rows = [f"{name}.png,{found},0,{patient},058Y,M,PA,2682,2749,0.143,0.143," for name, found, patient in images]
    write_text(root / "Data_Entry_2017.csv", head, *(row.rstrip(",") if head is QUOTED else row for row in rows))
    if boxes:
        write_text(root / "BBox_List_2017.csv", BOX_HEADS[box_head], *(f"{box},,," for box in boxes))
    for number, (name, _, _) in enumerate(images):
        folder = root / f"images_00{1 + number % 2}" / "images"
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{name}.png"), np.full((64, 64), 90, np.uint8))
    return root


IMAGES = (("1_000", "Infiltration|Mass", 1), ("1_001", "No Finding", 1), ("2_000", "Mass", 2), ("3_000", "Hernia", 3))
BOXES = ("1_000.png,Infiltrate,128.0,256.0,64.5,32.0", "2_000.png,Mass,0.0,0.0,512.0,512.0", "9_000.png,Mass,1,1,2,2")


@pytest.mark.parametrize("head", [UNQUOTED, QUOTED], ids=["unquoted", "quoted"])
@pytest.mark.parametrize("box_head", [0, 1], ids=["unquoted boxes", "quoted boxes"])
def test_all_parts_of_the_layout_are_read(tmp_path: Path, head, box_head):
    write(tmp_path, *IMAGES, head=head, boxes=BOXES, box_head=box_head)
    write_text(tmp_path / "train_val_list.txt", "1_000.png", "1_001.png")
    write_text(tmp_path / "test_list.txt", "2_000.png")
    source = sources.read(tmp_path)
    assert (source.name, source.class_names, source.kind) == ("nih", ("Hernia", "Infiltration", "Mass"), "chest")
    assert [case.label for case in source.cases] == [(0, 1, 1), (0, 0, 0), (0, 0, 1), (1, 0, 0)]
    assert [case.case_id for case in source.cases] == [name for name, _, _ in IMAGES]
    assert [case.patient_id for case in source.cases] == ["1", "1", "2", "3"]
    # The images are copies of 64x64 of the published ones of 1024x1024.
    assert source.cases[0].regions == (Region("Infiltration", "box", 8, 16, 12.03125, 18),)
    assert source.cases[2].regions == (Region("Mass", "box", 0, 0, 32, 32),)
    first, second, third, fourth = (case.split for case in source.cases)
    assert first == second
    assert first in ("train", "valid")
    assert (third, fourth) == ("test", None)
    assert source.cases[0].flags == ("PA",)
    assert source.dropped == {
        "region of an image that is not a case": 1,
        "image in neither list of the official split (kept)": 1,
    }


def test_validation_is_an_eighth_of_the_training_patients():
    patients = [str(number // 3) for number in range(12_000)]
    splits = split_off_validation(patients, ["train"] * 9_000 + ["test"] * 2_999 + [None])
    assert splits[9_000:] == ["test"] * 2_999 + [None]
    by_patient = {}
    for patient, split in zip(patients[:9_000], splits[:9_000], strict=True):
        by_patient.setdefault(patient, set()).add(split)
    assert {len(found) for found in by_patient.values()} == {1}
    assert splits.count("valid") / 9_000 == pytest.approx(1 / 8, abs=0.02)


def test_only_images_with_boxes_and_healthy_ones_are_read_on_request(tmp_path: Path):
    source = nih.read(write(tmp_path, *IMAGES, boxes=BOXES), boxed_only=True)
    assert [case.case_id for case in source.cases] == ["1_000", "1_001", "2_000"]
    assert source.dropped["image with a finding but without boxes"] == 1
    assert source.class_names == ("Hernia", "Infiltration", "Mass")


def test_boxes_are_on_their_rectangles_after_preparing(tmp_path: Path):
    write(tmp_path, *IMAGES[:3], boxes=("1_000.png,Mass,128,256,256,512", "2_000.png,Mass,512,64,448,320"))
    for name, (x0, y0, x1, y1), side in (("1_000", (8, 16, 24, 48), 64), ("2_000", (128, 16, 240, 96), 256)):
        cv2.imwrite(str(next(tmp_path.rglob(f"{name}.png"))), rectangle(side, side, x0, y0, x1, y1))
    assert check_boxes_on_rectangles(nih.read(tmp_path), tmp_path / "out") == 2


def test_missing_images_are_left_out_with_skip_missing(tmp_path: Path):
    write(tmp_path, *IMAGES)
    next(tmp_path.rglob("2_000.png")).unlink()
    with pytest.raises(MissingFileError, match=r"1 of 4 images(.|\n)*--images"):
        nih.read(tmp_path)
    source = nih.read(tmp_path, skip_missing=True)
    assert len(source.cases) == 3
    assert all(case.regions == () and case.split is None for case in source.cases)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="none of the images"):
        nih.read(tmp_path, images=tmp_path / "empty", skip_missing=True)


def entries(*rows, head=UNQUOTED):
    return lambda root: write_text(root / "Data_Entry_2017.csv", head, *rows)


def lists(train, test):
    def spoil(root):
        write_text(root / "train_val_list.txt", *train)
        write_text(root / "test_list.txt", *test)

    return spoil


def boxes(*rows, head=BOX_HEADS[0]):
    return lambda root: write_text(root / "BBox_List_2017.csv", head, *rows)


BROKEN = {
    "two tables": (
        lambda root: write_text(root / "Data_Entry_2017_v2020.csv", UNQUOTED),
        ConfigError,
        r"several tables of entries(.|\n)*--labels",
    ),
    "another header": (
        entries("1,2,3", head="Image,Finding"),
        TableError,
        r"no column Image Index(.|\n)*Image, Finding",
    ),
    "a short row": (entries("1_000.png,Mass,0"), TableError, r"too short(.|\n)*csv:2(.|\n)*7 fields"),
    "no finding": (entries("1_000.png,,0,1,058Y,M,PA,1,1,1,1,"), TableError, r"no Finding Labels(.|\n)*csv:2"),
    "one finding": (entries("1_000.png,Mass,0,1,058Y,M,PA,1,1,1,1,"), DataError, "at least two classes"),
    "an image twice": (
        entries(*["1_000.png,Mass|Hernia,0,1,058Y,M,PA,1,1,1,1,"] * 2),
        TableError,
        r"listed twice(.|\n)*csv:3",
    ),
    "a word in a box": (
        boxes("1_000.png,Mass,a,1,2,3"),
        TableError,
        r"x is not a finite number(.|\n)*BBox_List_2017\.csv:2",
    ),
    "a negative box": (boxes("1_000.png,Mass,9,1,-2,3"), TableError, r"before its left(.|\n)*BBox_List_2017\.csv:2"),
    "a cropped image": (
        lambda root: cv2.imwrite(str(next(root.rglob("1_000.png"))), np.zeros((64, 50), np.uint8)),
        DataError,
        r"another aspect ratio(.|\n)*1024x1024(.|\n)*64x50",
    ),
    "an image in both lists": (lists(["1_000.png"], ["1_000.png"]), DataError, r"in both lists(.|\n)*1_000\.png"),
}


@pytest.mark.parametrize(("spoil", "kind", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_input_is_refused_with_place_and_reason(tmp_path, spoil, kind, message):
    spoil(write(tmp_path, *IMAGES, boxes=BOXES))
    with pytest.raises(GGCamError, match=message) as caught:
        nih.read(tmp_path)
    assert type(caught.value) is kind
