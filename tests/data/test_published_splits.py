"""Splits of published tables, with invented ids in the layout of their authors' files."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from ggcam.data.case import Case
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.published_splits import PUBLISHED_SPLITS
from ggcam.data.sources import egd_cxr
from ggcam.data.splits import assign_splits
from ggcam.errors import ConfigError, DataError, MissingFileError

CLASSES = ("CHF", "Normal", "pneumonia")


def egd_cases(number: int = 1083) -> list[Case]:
    """Cases with ids of 44 characters, each of another patient."""
    ids = [f"{n:08x}-{7 * n:08x}-{11 * n:08x}-{13 * n:08x}-{17 * n:08x}" for n in range(number)]
    return [Case(each, f"p{n}", n % 3, Path("x.png")) for n, each in enumerate(ids)]


def write_mimic_gaze_jpg(root: Path, cases: list[Case], test: int = 107, with_gaze: bool = True) -> Path:
    """Lay out MIMIC-GAZE-JPG: the last `test` cases are for test."""
    for n, case in enumerate(cases):
        part = "test" if n >= len(cases) - test else "train"
        folder = root / part / CLASSES[case.class_index]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{case.case_id}.jpg").touch()
    if with_gaze:
        (root / "gaze" / "fixations").mkdir(parents=True)
        (root / "gaze" / "fixations.csv").write_text("DICOM_ID\n")
        (root / "train" / ".DS_Store").touch()
    return root


def siim_cases(number: int = 1400) -> list[Case]:
    """Cases whose ids end like those of SIIM-ACR; the last ones are in no list."""
    ids = [f"1.2.276.0.7230010.3.1.4.8323329.{n}.15178{n:05}.{n * 7 % 1000:06}" for n in range(number)]
    return [Case(each, each, n % 2, Path("x.dcm")) for n, each in enumerate(ids)]


def write_lists(root: Path, cases: list[Case]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for name, chosen in (("train_list.csv", cases[:1000]), ("test_list.csv", cases[1000:1250])):
        lines = [
            f"/data/somewhere/CXR-P/all_gaze_img/{'_'.join(case.case_id.split('.')[-3:])}_{case.label}.jpg,{case.label}\n"
            for case in chosen
        ]
        (root / name).write_text("".join(lines))
    return root


def test_the_public_split_of_egd_has_no_validation_part(tmp_path: Path):
    cases = egd_cases()
    path = write_mimic_gaze_jpg(tmp_path / "MIMIC-GAZE-JPG", cases)
    splits, record = assign_splits(cases, path, published="egd-public")
    assert Counter(splits.values()) == {"train": 976, "test": 107}
    assert [splits[case.case_id] for case in cases] == ["train"] * 976 + ["test"] * 107
    assert record["how"] == "published"
    assert record["name"] == "egd-public"
    assert record["patients_in_several_splits"] == 0


def test_the_layout_with_img_and_gaze_folders_counts_each_image_once(tmp_path: Path):
    cases = egd_cases()
    for n, case in enumerate(cases):
        for kind in ("img", "gaze"):
            folder = tmp_path / ("test" if n < 107 else "train") / kind
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{case.case_id}.png").touch()
    splits, _ = assign_splits(cases, tmp_path, published="egd-public")
    assert Counter(splits.values()) == {"train": 976, "test": 107}


def test_images_of_siim_are_found_by_the_end_of_their_uid(tmp_path: Path):
    cases = siim_cases()
    splits, _ = assign_splits(cases, write_lists(tmp_path, cases), published="siim-public")
    assert [splits.get(case.case_id) for case in cases] == ["train"] * 1000 + ["test"] * 250 + [None] * 150


def test_the_protocol_beside_it_keeps_the_test_images_and_no_patient_is_on_both_sides(tmp_path: Path):
    cases = [replace(case, patient_id=f"p{n % 1038}") for n, case in enumerate(egd_cases())]
    path = write_mimic_gaze_jpg(tmp_path / "files", cases)
    published, record = assign_splits(cases, path, published="egd-public")
    assert record["patients_in_several_splits"] == 45
    splits, record = assign_splits(cases, path, seed=3, published="egd-public-with-validation")
    assert {case_id for case_id, split in splits.items() if split == "test"} == {
        case_id for case_id, split in published.items() if split == "test"
    }
    counts = Counter(splits.values())
    assert counts["train"] + counts["valid"] == 976 - 45
    assert record["left_out_for_test_patients"] == 45
    assert abs(counts["valid"] - 931 / 8) < 3
    assert record["patients_in_several_splits"] == 0
    again, _ = assign_splits(cases[::-1], path, seed=3, published="egd-public-with-validation")
    assert again == splits
    assert assign_splits(cases, path, seed=4, published="egd-public-with-validation")[0] != splits


def test_another_number_of_images_is_refused(tmp_path: Path):
    cases = egd_cases()
    path = write_mimic_gaze_jpg(tmp_path, cases, test=108)
    with pytest.raises(DataError, match=r"number of train images(?s:.*)976 images(?s:.*)975 images"):
        assign_splits(cases, path, published="egd-public")


def test_a_data_set_that_lacks_listed_images_is_refused(tmp_path: Path):
    cases = egd_cases()
    path = write_mimic_gaze_jpg(tmp_path, cases)
    with pytest.raises(DataError, match=r"^3 images of the published split are not among the cases"):
        assign_splits(cases[3:], path, published="egd-public")


def test_cases_that_the_list_cannot_tell_apart_are_refused(tmp_path: Path):
    cases = siim_cases()
    path = write_lists(tmp_path, cases)
    twin = replace(cases[0], case_id=f"9.{cases[0].case_id}")
    with pytest.raises(DataError, match="several cases fit an image"):
        assign_splits([*cases, twin], path, published="siim-public")


def test_an_image_in_both_parts_is_refused(tmp_path: Path):
    cases = siim_cases()
    path = write_lists(tmp_path, cases)
    lines = (path / "train_list.csv").read_text().splitlines(keepends=True)
    test = (path / "test_list.csv").read_text().splitlines(keepends=True)
    (path / "train_list.csv").write_text("".join([*lines[1:], test[0]]))
    with pytest.raises(DataError, match="both parts"):
        assign_splits(cases, path, published="siim-public")
    (path / "train_list.csv").write_text("".join([*lines[1:], lines[1]]))
    with pytest.raises(DataError, match="repeated in the list"):
        assign_splits(cases, path, published="siim-public")


def test_another_folder_is_refused_and_says_what_is_expected(tmp_path: Path):
    with pytest.raises(MissingFileError, match=r"does not hold the published split(?s:.*)train_list.csv"):
        assign_splits(siim_cases(), tmp_path, published="siim-public")


def test_a_published_split_needs_its_files():
    with pytest.raises(ConfigError, match="--split-file FOLDER"):
        PrepareConfig(published_split="egd-public")


def test_a_prepared_folder_records_the_published_split(
    simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source = egd_cxr.read(simulated)
    path = write_mimic_gaze_jpg(tmp_path / "files", list(source.cases[:50]), test=10)
    small = replace(PUBLISHED_SPLITS["egd-public"], counts={"train": 40, "test": 10})
    monkeypatch.setitem(PUBLISHED_SPLITS, "egd-public", small)  # pyright: ignore[reportArgumentType]
    config = PrepareConfig(size="64x64", split_file=path, published_split="egd-public", workers=1)
    data = prepare_source(source, tmp_path / "data", config)
    assert Counter(data.cases["split"]) == {"train": 40, "test": 10}
    assert data.meta["split"]["name"] == "egd-public"
    assert data.meta["dropped"]["case outside the published split"] == 10
