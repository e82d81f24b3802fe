from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ggcam.data.case import Case
from ggcam.data.splits import assign_splits, read_split_file
from ggcam.errors import ConfigError, GGCamError


def test_split_files_may_use_synonyms(tmp_path: Path):
    path = tmp_path / "split.csv"
    path.write_text("\ufeffsplit, dicom_id \nTrain,a\nvalidate,b\n val ,c\n\ntest,d\n", encoding="utf-8")
    assert read_split_file(path) == {"a": "train", "b": "valid", "c": "valid", "d": "test"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"name,split\na,train\n", "one of id, case_id, dicom_id"),
        (b"id,fold\na,train\n", "no column split"),
        (
            b"id,split\na,train\nb,dev\n",
            r"unknown split\n  where: .*split.csv:3\n  expected: train, valid, test\n.*'dev'",
        ),
        (b"id,split\na,train\nb,\n", r"unknown split\n  where: .*split.csv:3"),
        (b"id,split\na,train\na,test\n", r"repeated\n  where: .*split.csv:3"),
        (b"id,split\n,train\n", r"empty\n  where: .*split.csv:2"),
        (b"id,split\na\n", "cannot be read"),
        (b"PK\x03\x04id,split\n", "ZIP archive or a spreadsheet"),
    ],
)
def test_invalid_split_files_are_refused_with_the_row(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "split.csv"
    path.write_bytes(content)
    with pytest.raises(GGCamError, match=message):
        read_split_file(path)


def test_a_missing_split_file_is_refused(tmp_path: Path):
    with pytest.raises(GGCamError, match=r"the table does not exist\n  where: .*none.csv"):
        read_split_file(tmp_path / "none.csv")


# --- a published test list


def _cases(number: int) -> list[Case]:
    return [Case(f"c{n}", f"p{n // 2}", n % 3, Path("x.png")) for n in range(number)]


@pytest.mark.parametrize(
    "text",
    ["id\nc1\nc5\nc9\n", "c1\nc5\nc9\n", "dicom_id\nc1.jpg\nc5.dcm\nc9\nstranger.png\n", "\ufeffc1\r\nc5\r\nc9\r\n"],
)
def test_a_bare_list_of_ids_is_the_test_split(tmp_path: Path, text: str):
    path = tmp_path / "ids.csv"
    path.write_text(text, encoding="utf-8", newline="")
    splits, record = assign_splits(_cases(60), path, seed=3)
    assert {name for name, split in splits.items() if split == "test"} == {"c1", "c5", "c9"}
    shares = Counter(splits.values())
    assert shares["train"] / 57 == pytest.approx(7 / 8, abs=0.04)
    assert record["how"] == "test list"
    assert record["ids_not_in_source"] == ("stranger" in text)
    # The list has one of the two images of these patients; the other one is in train or valid.
    assert record["patients_in_several_splits"] == 3
    others = [case for case in _cases(60) if case.case_id not in ("c1", "c5", "c9")]
    assert all(len({splits[case.case_id] for case in others if case.patient_id == f"p{n}"}) <= 1 for n in range(30))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id\na\nb\n", r"contains none of the cases(.|\n)*such as c0"),
        ("id\n" + "\n".join(f"c{n}" for n in range(9)) + "\n", "contains all of the cases"),
        ("c1\nc1\n", "an id is repeated"),
        ("id\n", "contains none of the cases"),
    ],
)
def test_invalid_test_lists_are_refused(tmp_path: Path, text: str, message: str):
    path = tmp_path / "ids.csv"
    path.write_text(text)
    with pytest.raises(GGCamError, match=message):
        assign_splits(_cases(9), path)


def test_fractions_with_nothing_left_for_training_are_refused(tmp_path: Path):
    path = tmp_path / "ids.csv"
    path.write_text("id\nc1\n")
    with pytest.raises(ConfigError, match="leave nothing for train and valid"):
        assign_splits(_cases(9), path, fractions=(0.0, 0.0, 1.0))
