from __future__ import annotations

import csv
import logging
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import ggcam
from ggcam.data.case import Case, Frame, Source
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.schema import partial_folder
from ggcam.data.sources import egd_cxr, read
from ggcam.errors import GGCamError
from ggcam.gaze.fixations import Fixations
from small_source import small_source

SMALL = PrepareConfig(size="96x64", workers=1)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return small_source(tmp_path / "raw", cases=12, height=60, width=44)


def test_every_case_arrives_with_its_image_masks_gaze_and_regions(tmp_path: Path, source: Source):
    calls: list[tuple[int, int]] = []
    data = prepare_source(source, tmp_path / "out", SMALL, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 12) for done in range(13)]
    assert data.cases["case_id"].tolist() == [case.case_id for case in source.cases]
    assert data.cases["label"].tolist() == [case.label for case in source.cases]
    assert data.cases["has_gaze"].tolist() == [len(case.fixations) > 0 for case in source.cases]
    assert data.cases["flags"].tolist() == [";".join(case.flags) for case in source.cases]
    for case in source.cases:
        assert len(data.gaze.get(case.case_id, ())) == len(case.fixations)
        assert set(data.read_masks(case.case_id)) == set(case.masks)
        assert [region.name for region in data.boxes[case.case_id]] == ["cardiac silhouette"]
        assert data.read_image(case.case_id).dtype == np.uint8
    assert data.meta["dropped"] == {"record without a class": 2}
    assert not partial_folder(data.root).exists()


def test_the_counts_in_dataset_toml_are_those_of_the_table(tmp_path: Path, source: Source):
    data = prepare_source(source, tmp_path / "out", SMALL)
    for split, classes in data.meta["counts"].items():
        for label, name in enumerate(data.class_names):
            assert classes[name] == ((data.cases["split"] == split) & (data.cases["label"] == label)).sum()


@pytest.mark.parametrize(("height", "width"), [(200, 100), (100, 240), (61, 45), (96, 64)])
def test_a_spot_and_the_fixation_on_it_land_on_the_same_place(tmp_path: Path, height: int, width: int):
    row, column = height // 3, width // 4
    pixels = np.zeros((height, width), np.uint8)
    pixels[row - 1 : row + 2, column - 1 : column + 2] = 255
    cv2.imwrite(str(tmp_path / "spot.png"), pixels)
    gaze = Fixations.build([column + 0.5], [row + 0.5], duration_s=0.3, px_per_degree=(10.0, 20.0), label="finding")
    case = Case("spot", "p", 0, tmp_path / "spot.png", {"r": gaze})
    only_test = replace(SMALL, split_fractions=(0.0, 0.0, 1.0))
    data = prepare_source(Source("spots", ("any",), (case,)), tmp_path / "out", only_test)
    image = data.read_image("spot").astype(float)
    rows, columns = np.indices(image.shape) + 0.5
    found = data.gaze["spot"]
    assert abs((image * columns).sum() / image.sum() - found.x_px[0]) < 0.5
    assert abs((image * rows).sum() / image.sum() - found.y_px[0]) < 0.5
    place = Frame(96, 64).fit(height, width)
    assert found.px_per_degree_x == pytest.approx([10 * place.scale_x])
    assert found.px_per_degree_y == pytest.approx([20 * place.scale_y])
    assert place.inverse().apply_x(found.x_px) == pytest.approx([column + 0.5])
    assert found.label.tolist() == ["finding"]


def test_fixations_off_the_image_are_left_out_and_counted(tmp_path: Path, source: Source):
    away = Fixations.build([-3.0, 5.0, 500.0], [5.0, 5.0, 5.0])
    gone = Fixations.build([-3.0], [5.0])
    first, second, *others = source.cases
    cases = (replace(first, readings={"r": away}), replace(second, readings={"r": gone}), *others)
    data = prepare_source(replace(source, cases=cases), tmp_path / "out", SMALL)
    assert data.meta["dropped"]["fixation off the image"] == 3
    assert data.cases["has_gaze"].tolist()[:2] == [True, False]
    assert len(data.gaze[first.case_id]) == 1


def test_sixteen_bits_use_the_whole_range_whatever_the_source_has(tmp_path: Path, source: Source):
    eight = prepare_source(source, tmp_path / "eight", SMALL)
    sixteen = prepare_source(source, tmp_path / "sixteen", replace(SMALL, bits=16))
    for case in source.cases:
        deep = sixteen.read_image(case.case_id)
        assert deep.dtype == np.uint16
        assert np.abs(deep / 257 - eight.read_image(case.case_id)).max() <= 0.5


def test_the_number_of_processes_does_not_change_the_result(tmp_path: Path):
    source = small_source(tmp_path / "raw", cases=40)
    prepare_source(source, tmp_path / "one", SMALL)
    prepare_source(source, tmp_path / "two", replace(SMALL, workers=2))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def break_files(source: Source) -> None:
    source.cases[1].image.write_bytes(source.cases[1].image.read_bytes()[:100])
    source.cases[2].image.unlink()
    cv2.imwrite(str(source.cases[4].masks["left_lung"]), np.ones((9, 9), np.uint8))


def test_broken_files_stop_the_job_at_its_end_with_all_of_them_listed(tmp_path: Path, source: Source):
    break_files(source)
    with pytest.raises(GGCamError) as caught:
        prepare_source(source, tmp_path / "out", SMALL)
    for piece in (
        "3 of 12 cases",
        "case_0001",
        "case_0002",
        "another size than its image",
        "--skip-missing",
        "errors.csv",
    ):
        assert piece in str(caught.value)
    rows = csv.DictReader((tmp_path / "out.partial" / "errors.csv").read_text().splitlines())
    assert [row["case_id"] for row in rows] == ["case_0001", "case_0002", "case_0004"]
    assert not (tmp_path / "out").exists()


def test_a_long_list_of_broken_files_is_cut_in_the_message_alone(tmp_path: Path, source: Source):
    for case in source.cases:
        case.image.write_bytes(b"")
    with pytest.raises(GGCamError, match="and 2 more"):
        prepare_source(source, tmp_path / "out", SMALL)
    assert len((tmp_path / "out.partial" / "errors.csv").read_text().splitlines()) == 13
    with pytest.raises(GGCamError, match="no image can be read, so no case is left"):
        prepare_source(source, tmp_path / "out", replace(SMALL, skip_missing=True))


def test_broken_files_are_skipped_and_counted_when_asked(
    tmp_path: Path, source: Source, caplog: pytest.LogCaptureFixture
):
    whole = prepare_source(source, tmp_path / "whole", SMALL)
    break_files(source)
    with pytest.raises(GGCamError):
        prepare_source(source, tmp_path / "out", SMALL)
    with caplog.at_level(logging.WARNING):
        data = prepare_source(source, tmp_path / "out", replace(SMALL, skip_missing=True))
    assert "case_0001, case_0002, case_0004" in caplog.text
    assert data.meta["dropped"]["case whose image or mask cannot be read"] == 3
    left = whole.cases[~whole.cases["case_id"].isin(["case_0001", "case_0002", "case_0004"])]
    assert data.cases["split"].tolist() == left["split"].tolist()


def test_fixed_files_are_prepared_by_the_next_call(tmp_path: Path, source: Source):
    prepare_source(source, tmp_path / "whole", SMALL)
    kept = source.cases[2].image.read_bytes()
    source.cases[2].image.unlink()
    with pytest.raises(GGCamError):
        prepare_source(source, tmp_path / "out", SMALL)
    source.cases[2].image.write_bytes(kept)
    prepare_source(source, tmp_path / "out", SMALL)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_raw_image_or_mask_that_was_replaced_is_prepared_again(tmp_path: Path, source: Source, caplog):
    broken = source.cases[3].image
    whole = broken.read_bytes()
    broken.write_bytes(b"")
    with pytest.raises(GGCamError, match="1 of 12 cases"):
        prepare_source(source, tmp_path / "out", SMALL)
    broken.write_bytes(whole)
    for path in (source.cases[5].image, source.cases[7].masks["left_lung"]):
        cv2.imwrite(str(path), 255 - cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    calls: list[tuple[int, int]] = []
    with caplog.at_level(logging.WARNING):
        data = prepare_source(source, tmp_path / "out", SMALL, lambda done, total: calls.append((done, total)))
    assert calls[0] == (9, 12)
    assert "2 raw images were replaced and are prepared again: case_0005, case_0007" in caplog.text
    expected = prepare_source(source, tmp_path / "again", SMALL)
    assert contents(data.root) == contents(expected.root)


def test_overwriting_replaces_a_prepared_folder_and_nothing_else(tmp_path: Path, source: Source):
    prepare_source(source, tmp_path / "out", SMALL)
    with pytest.raises(GGCamError, match=r"already exists and is complete(.|\n)*--overwrite"):
        prepare_source(source, tmp_path / "out", SMALL)
    data = prepare_source(source, tmp_path / "out", replace(SMALL, size="64x64", overwrite=True))
    assert data.frame == Frame(64, 64)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("all my work")
    with pytest.raises(GGCamError, match="exists and was not created by ggcam"):
        prepare_source(source, tmp_path / "precious", replace(SMALL, overwrite=True))
    (tmp_path / "empty").mkdir()
    assert len(prepare_source(source, tmp_path / "empty", SMALL)) == 12


def test_an_interrupted_job_with_other_settings_says_what_differs(tmp_path: Path, source: Source):
    image = source.cases[0].image
    image.rename(tmp_path / "aside.png")
    with pytest.raises(GGCamError):
        prepare_source(source, tmp_path / "out", SMALL)
    (tmp_path / "aside.png").rename(image)
    with pytest.raises(GGCamError) as caught:
        prepare_source(source, tmp_path / "out", replace(SMALL, size="64x64", bits=16))
    for piece in ("size was 96x64, now 64x64", "bits was 8, now 16", "--overwrite"):
        assert piece in str(caught.value)
    relabelled = replace(source, cases=(replace(source.cases[0], label=2), *source.cases[1:]))
    with pytest.raises(GGCamError, match="cases was"):
        prepare_source(relabelled, tmp_path / "out", SMALL)
    assert prepare_source(source, tmp_path / "out", replace(SMALL, size="64x64", overwrite=True)).frame == Frame(64, 64)


def test_the_split_comes_from_a_file_when_there_is_one(
    tmp_path: Path, source: Source, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "split.csv"
    lines = [f"{case.case_id},{['train', 'val', 'test'][number % 3]}" for number, case in enumerate(source.cases)]
    path.write_text("\n".join(["id,split", *lines, "stranger,train"]))
    with caplog.at_level(logging.WARNING):
        data = prepare_source(source, tmp_path / "out", replace(SMALL, split_file=path))
    assert data.cases["split"].tolist() == ["train", "valid", "test"] * 4
    assert data.meta["split"] == {"how": "file", "ids_not_in_source": 1, "patients_in_several_splits": 6}
    assert "6 patients are in several splits" in caplog.text
    path.write_text("\n".join(["id,split", *lines[3:]]))
    with pytest.raises(GGCamError, match=r"3 of 12 cases have no split(.|\n)*case_0000, case_0001, case_0002"):
        prepare_source(source, tmp_path / "other", replace(SMALL, split_file=path))


def test_the_split_comes_from_the_source_when_asked(tmp_path: Path, source: Source):
    with pytest.raises(GGCamError, match="12 of 12 cases have no split"):
        prepare_source(source, tmp_path / "out", replace(SMALL, split="source"))
    cases = tuple(replace(case, split="test") for case in source.cases)
    data = prepare_source(replace(source, cases=cases), tmp_path / "out", replace(SMALL, split="source"))
    assert set(data.cases["split"]) == {"test"}


def _with_first(source: Source, **changes: object) -> Source:
    return replace(source, cases=(replace(source.cases[0], **changes), *source.cases[1:]))  # pyright: ignore


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda source: replace(source, cases=()), "has no cases"),
        (lambda source: _with_first(source, case_id="case_0001"), r"are repeated\n  got: case_0001"),
        (lambda source: _with_first(source, case_id="../evil"), "'../evil'"),
        (lambda source: _with_first(source, case_id=".hidden"), "'.hidden'"),
        (lambda source: _with_first(source, label=3), r"do not match the classes\n.*\n  got: case_0000"),
        (lambda source: _with_first(source, label=-1), r"do not match the classes\n.*\n  got: case_0000"),
        (lambda source: replace(source, cases=source.cases[:4]), "too few patients"),
    ],
)
def test_a_source_that_cannot_be_prepared_is_refused_before_any_work(
    tmp_path: Path, source: Source, change: object, message: str
):
    with pytest.raises(GGCamError, match=message):
        prepare_source(change(source), tmp_path / "out", SMALL)  # pyright: ignore
    assert not partial_folder(tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": "100x64"}, "use 96x64"),
        ({"size": "96"}, "HEIGHTxWIDTH"),
        ({"split_fractions": (0.5, 0.1, 0.1)}, "sum to 1"),
        ({"workers": -1}, "workers"),
        ({"split": "source", "split_file": Path("split.csv")}, "exclude each other"),
        ({"split_file": Path("nowhere.csv")}, "the table does not exist"),
    ],
)
def test_settings_that_cannot_work_are_refused(tmp_path: Path, source: Source, settings: dict, message: str):
    with pytest.raises(GGCamError, match=message):
        prepare_source(source, tmp_path / "out", replace(SMALL, **settings))


def test_other_files_are_reported_and_left_alone(tmp_path: Path, source: Source):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(GGCamError, match="exists and was not created by ggcam"):
        prepare_source(source, tmp_path / "out", replace(SMALL, overwrite=True))
    foreign = tmp_path / "new.partial"
    foreign.mkdir()
    (foreign / "download.zip").write_text("half of it")
    with pytest.raises(GGCamError, match=r"staging folder exists and was not created by ggcam\n  where: .*new.partial"):
        prepare_source(source, tmp_path / "new", replace(SMALL, overwrite=True))
    assert (foreign / "download.zip").read_text() == "half of it"


def test_real_x_rays_are_prepared_with_patients_apart(tmp_path: Path, real_data: Path):
    source = read(real_data / "paediatric_pneumonia")
    some = replace(source, cases=source.cases[::12])
    data = prepare_source(some, tmp_path / "out", replace(SMALL, size="64x64"))
    assert len(data) == len(some.cases) == 80
    assert data.cases.groupby("patient_id")["split"].nunique().max() == 1
    assert (data.cases["split"].value_counts() / 80).to_dict() == pytest.approx(
        {"train": 0.7, "valid": 0.1, "test": 0.2}, abs=0.02
    )
    assert min(data.read_image(case_id).std() for case_id in data.cases["case_id"]) > 10


def test_the_python_function_reads_and_prepares_and_prints_nothing(tmp_path: Path, simulated: Path, capfd):
    config = replace(SMALL, split_file=simulated / "split.csv")
    data = ggcam.prepare(str(simulated), str(tmp_path / "auto"), config)
    assert capfd.readouterr() == ("", "")
    prepare_source(egd_cxr.read(simulated), tmp_path / "by_hand", config)
    assert contents(tmp_path / "auto") == contents(tmp_path / "by_hand")
    assert data.root == tmp_path / "auto"
    assert len(data.cases) == 60


def test_options_of_the_source_are_passed_on_and_unknown_ones_refused(tmp_path: Path, simulated: Path):
    with pytest.raises(GGCamError, match="no option --blur"):
        ggcam.prepare(simulated, tmp_path / "out", SMALL, source="egd_cxr", blur=3)
    with pytest.raises(GGCamError, match="the folder does not exist"):
        ggcam.prepare(tmp_path / "nowhere", tmp_path / "out")


def test_a_function_of_the_users_own_is_a_source(tmp_path: Path):
    calls: list[tuple[Path, int]] = []

    def read_mine(root: Path, cases: int = 12) -> Source:
        calls.append((root, cases))
        return small_source(root, cases=cases, height=60, width=44)

    data = ggcam.prepare(tmp_path / "raw", tmp_path / "out", SMALL, source=read_mine, cases=9)
    assert calls == [(tmp_path / "raw", 9)]
    assert len(data.cases) == 9
