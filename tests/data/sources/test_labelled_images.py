"""Listing images with their labels. Damaged tables are in test_folder and test_table."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.sources.test_folder import add_image, write_text
from ggcam.data.sources.labelled_images import (
    has_labelled_images,
    list_labelled_images,
    normalise_paths,
)
from ggcam.data.tables import Table
from ggcam.errors import ConfigError, DataError, MissingFileError, TableError
from ggcam.gaze.fixations import Fixations

IMAGES = ("ill/b.png", "ill/a 1.png", "healthy/c.png")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    add_image(tmp_path, *IMAGES)
    return tmp_path


def test_class_folders_give_labels_in_the_order_of_their_names(root: Path):
    dropped: Counter[str] = Counter()
    found = list_labelled_images(root, None, False, dropped)
    assert found.images == ("healthy/c.png", "ill/a 1.png", "ill/b.png")
    assert found.files == [root / image for image in found.images]
    assert found.case_ids == found.patient_ids == ("healthy_c", "ill_a_1", "ill_b")
    assert (found.class_names, found.labels, found.splits) == (("healthy", "ill"), (0, 1, 1), (None, None, None))
    assert not +dropped


def test_a_table_sets_order_labels_patients_and_splits(root: Path):
    rows = ("ill/b.png,2,p,val", "healthy/c.png,10,,TEST", "ill/b.png,2,p,val")
    write_text(root / "labels.csv", "image,label,patient_id,split", *rows)
    dropped: Counter[str] = Counter()
    found = list_labelled_images(root, None, False, dropped)
    assert found.images == ("ill/b.png", "healthy/c.png")
    assert (found.class_names, found.labels) == (("2", "10"), (0, 1))
    assert found.patient_ids == ("p", "healthy_c")
    assert found.splits == ("valid", "test")
    assert +dropped == {"duplicate row": 1, "image that labels.csv does not list": 1}


def test_one_column_per_class_gives_several_labels(root: Path):
    table = write_text(
        root / "own.csv", "image,label_mass,label_edema", "ill/b.png,1,0", "ill/a 1.png,,1", "healthy/c.png,0,"
    )
    found = list_labelled_images(root, table, False, Counter())
    assert found.class_names == ("mass", "edema")
    assert found.labels == ((1, 0), (None, 1), (0, None))


def test_missing_images_are_an_error_or_are_left_out(root: Path):
    rows = ("ill/b.png,x", "ill/gone.png,x", "healthy/c.png,y")
    write_text(root / "labels.csv", "image,label", *rows)
    with pytest.raises(MissingFileError, match=r"1 of 3 images are missing(.|\n)*gone\.png(.|\n)*--skip-missing"):
        list_labelled_images(root, None, False, Counter())
    dropped: Counter[str] = Counter()
    assert list_labelled_images(root, None, True, dropped).images == ("ill/b.png", "healthy/c.png")
    assert dropped["case whose image is missing"] == 1


def test_images_become_cases_with_their_readings(root: Path):
    found = list_labelled_images(root, None, False, Counter())
    gaze = Fixations.build([1.0], [2.0])
    source = found.to_source("mine", [{}, {"1": gaze}, {}], Counter({"left out": 2, "nothing": 0}))
    assert (source.name, source.class_names, source.dropped) == ("mine", ("healthy", "ill"), {"left out": 2})
    assert [(case.case_id, case.label, len(case.readings)) for case in source.cases] == [
        ("healthy_c", 0, 0),
        ("ill_a_1", 1, 1),
        ("ill_b", 1, 0),
    ]
    assert [case.image for case in source.cases] == found.files


def test_images_whose_paths_differ_only_in_the_suffix_are_refused(root: Path):
    add_image(root, "ill/a 1.jpg")
    with pytest.raises(DataError, match=r"same name ill/a 1(.|\n)*ill/a 1\.jpg, ill/a 1\.png(.|\n)*rename one"):
        list_labelled_images(root, None, False, Counter())


def test_different_names_have_different_case_ids(root: Path):
    add_image(root, "ill/a_1.png", "ill/Lunge_über.png", "ill/肺 1.png", "ill/A_1.png", f"ill/{'å' * 100}.png")
    found = list_labelled_images(root, None, False, Counter())
    ids = dict(zip(found.images, found.case_ids, strict=True))
    assert len({case_id.casefold() for case_id in found.case_ids}) == len(found.images)
    assert (ids["ill/Lunge_über.png"], ids["ill/肺 1.png"], ids["ill/b.png"]) == ("ill_Lunge_über", "ill_肺_1", "ill_b")
    for image in ("ill/a 1.png", "ill/a_1.png"):
        assert re.fullmatch(r"ill_a_1-[0-9a-f]{8}", ids[image])
    assert max(len(case_id.encode()) for case_id in found.case_ids) < 200


@pytest.mark.parametrize("word", ["nan", "NaN", "None", "NA", "N/A", "null", "<NA>", ""])
def test_a_missing_value_is_no_class_patient_or_split(root: Path, word: str):
    rows = (f"ill/b.png,{word},p,train", f"ill/a 1.png,x,{word},{word}", f"healthy/c.png,y,{word},test")
    write_text(root / "labels.csv", "image,label,patient_id,split", *rows)
    with pytest.raises(TableError, match=r"a row has no label(.|\n)*labels\.csv:2(.|\n)*--skip-missing"):
        list_labelled_images(root, None, False, Counter())
    dropped: Counter[str] = Counter()
    found = list_labelled_images(root, None, True, dropped)
    assert (found.class_names, found.labels, found.splits) == (("x", "y"), (0, 1), (None, "test"))
    assert found.patient_ids == ("ill_a_1", "healthy_c")
    assert dropped["row without a label"] == 1


@pytest.mark.parametrize("written", ["cp1252", "cp932", "utf-16"])
def test_labels_in_another_text_encoding_are_read(root: Path, caplog, written: str):
    word = "肺炎" if written == "cp932" else "Ödem"
    rows = (f"ill/b.png,{word}", f"ill/a 1.png,{word}", "healthy/c.png,normal")
    (root / "labels.csv").write_bytes("\n".join(("image,label", *rows)).encode(written))
    assert set(list_labelled_images(root, None, False, Counter()).class_names) == {word, "normal"}
    assert (written in caplog.text) == (written != "utf-16")


@pytest.mark.parametrize(("uncertain", "label"), [("unknown", None), ("positive", 1), ("negative", 0)])
def test_minus_one_of_chexpert_has_the_chosen_meaning(root: Path, uncertain, label):
    rows = ("ill/b.png,-1.0,0.0", "ill/a 1.png,,1.0", "healthy/c.png,0.0,-1")
    write_text(root / "labels.csv", "image,label_mass,label_edema", *rows)
    found = list_labelled_images(root, None, False, Counter(), uncertain)
    assert found.labels == ((label, 0), (None, 1), (0, label))
    with pytest.raises(TableError, match=r"label_mass = '-1.0'(.|\n)*--uncertain unknown, positive or negative"):
        list_labelled_images(root, None, False, Counter())
    write_text(root / "labels.csv", "image,label", "ill/b.png,-1", "healthy/c.png,1")
    assert list_labelled_images(root, None, False, Counter()).class_names == ("-1", "1")
    with pytest.raises(ConfigError, match=r"--uncertain has no meaning without"):
        list_labelled_images(root, None, False, Counter(), uncertain)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda root: write_text(root / "labels.csv", "image,label"), True),
        (lambda root: add_image(root, "x/a.png"), True),
        (lambda root: add_image(root, "a.png"), False),
        (lambda root: add_image(root, ".hidden/a.png", "x/.thumb.png"), False),
        (lambda root: add_image(root, "x/deeper/a.png"), False),
        (lambda root: None, False),
    ],
)
def test_a_folder_with_labels_or_class_folders_is_recognised(tmp_path: Path, make, expected: bool):
    make(tmp_path)
    assert has_labelled_images(tmp_path) is expected


@given(st.lists(st.text("ab.", min_size=1, max_size=3).filter(lambda part: part.strip(".")), min_size=1, max_size=4))
def test_paths_are_normalised_whatever_the_system_that_wrote_them(parts: list[str]):
    path = "/".join(parts)
    written = np.array([path, "\\".join(parts), f"./{path}", f".\\{path}", ""])
    table = Table(Path("t.csv"), {"image": written, "other": written}, np.arange(5) + 2)
    found = normalise_paths(table)
    assert found["image"].tolist() == [path] * 4 + [""]
    np.testing.assert_array_equal(found["other"], written)
