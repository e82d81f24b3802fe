"""From raw data to a prepared folder and to `.pt` folders with the preset original, and back."""

from __future__ import annotations

import json
import pickle
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from data.original import slow_original
from data.sources.original_fixture import RawCase, raw_case, write_raw
from ggcam.data.case import Source
from ggcam.data.images import read_image, read_mask
from ggcam.data.original import writer
from ggcam.data.original.writer import write_original_folders
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import load_if_same, prepare_source
from ggcam.data.prepared import PreparedData
from ggcam.data.sources import egd_cxr, folder, original
from ggcam.errors import ConfigError, DataError, GGCamError
from small_source import small_source

ORIGINAL_PRESET = PrepareConfig(preset="original", size="192x128", workers=1)
CANVAS = (384, 256)
FOLDERS = ["Down2_Blur200", "Down2_Blur500", "Down2_Blur800"]


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def cases() -> list[RawCase]:
    """Portrait, landscape (cropped) and small images."""
    sizes = [(380, 250), (250, 380), (90, 71)]
    return [raw_case(number, *sizes[number % 3], label=number // 10) for number in range(30)]


@pytest.fixture(scope="module")
def source(cases: list[RawCase], tmp_path_factory: pytest.TempPathFactory) -> Source:
    return original.read(write_raw(tmp_path_factory.mktemp("original") / "raw", cases))


@pytest.fixture(scope="module")
def data(source: Source, tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return prepare_source(source, tmp_path_factory.mktemp("original") / "data", ORIGINAL_PRESET)


@pytest.fixture(scope="module")
def pt(source: Source, data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("original") / "pt"
    assert write_original_folders(source, data, out, workers=1) == dict.fromkeys(FOLDERS, 30)
    return out


def test_files_equal_the_slow_re_implementation(cases, pt):
    table = pd.DataFrame({"ID": [case.case_id for case in cases], "Y": [case.label for case in cases]})
    ids_of_split = slow_original.split_by_position(table, fraction=1, seed=0)
    by_id = {case.case_id: case for case in cases}
    assert sorted(path.name for path in pt.iterdir()) == [*FOLDERS, "original.json"]
    for name in FOLDERS:
        files = {(path.parent.name.lower(), path.stem) for path in (pt / name).rglob("*.pt")}
        assert files == {(name_of_split, case_id) for name_of_split, ids in ids_of_split.items() for case_id in ids}
        for path in (pt / name).rglob("*.pt"):
            found, case = torch.load(path), by_id[path.stem]
            expected = slow_original.process(case.arrays, int(name[-3:]), CANVAS)
            np.testing.assert_array_equal(found["cxr"], expected["cxr"])
            np.testing.assert_allclose(found["gaze"], expected["gaze"], atol=1e-5)
            np.testing.assert_array_equal(found["lung"], expected["lung"])
            np.testing.assert_array_equal(found["heart"], expected["heart"])
            assert int(found["Y"]) == case.label


def test_prepared_folder_has_the_same_pixels_split_and_fixations(cases, data, pt):
    assert data.meta["preset"] == "original"
    assert data.meta["dropped"] == {"case cropped by the frame (kept)": 10}
    for row, case in zip(data.cases.itertuples(), cases, strict=True):
        path = pt / "Down2_Blur500" / str(row.split).capitalize() / f"{row.case_id}.pt"
        cxr = torch.load(path)["cxr"][0].numpy()
        image = data.read_image(case.case_id)
        assert image.dtype == np.uint16
        np.testing.assert_allclose(image / 65535, cxr, atol=1e-5)
        masks = data.read_masks(case.case_id)
        heart = slow_original.place_on_canvas(case.arrays["seg_mediastanum"], CANVAS)[::2, ::2]
        np.testing.assert_array_equal(masks["mediastinum"], heart)
        # A fixation on a kept pixel lies at the centre of that pixel of the prepared image.
        height, width = case.arrays["cxr"].shape
        rows, columns = np.nonzero(slow_original.place_on_canvas(case.arrays["gaze_dot"], CANVAS)[::2, ::2])
        gaze = data.gaze[case.case_id]
        assert len(gaze) == (case.arrays["gaze_dot"] > 0).sum()
        assert {(x + 0.5, y + 0.5) for x, y in zip(columns, rows, strict=True)} <= set(
            zip(gaze.x_px.tolist(), gaze.y_px.tolist(), strict=True)
        )
        assert (row.raw_height_px, row.raw_width_px, row.scale_x) == (height, width, 0.5)


def test_written_folders_are_read_back_as_the_same_cases(source, data, pt):
    again = original.read(pt)
    assert again.class_names == source.class_names
    split_of = dict(zip(data.cases["case_id"], data.cases["split"], strict=True))
    found = {case.case_id: case for case in again.cases}
    assert set(found) == {case.case_id for case in source.cases}
    for case in source.cases:
        back = found[case.case_id]
        assert (back.label, back.split) == (case.label, split_of[case.case_id])
        np.testing.assert_allclose(read_image(back.image), data.read_image(case.case_id), atol=1)
        for name in back.masks:
            cells = read_mask(back.masks[name], name)[::32, ::32]
            parts = ("left_lung", "right_lung") if name != "mediastinum" else ("mediastinum",)
            whole = np.logical_or.reduce([data.read_masks(case.case_id)[part] for part in parts])
            np.testing.assert_array_equal(cells, whole[::32, ::32])


def test_pt_files_are_copied_unchanged_with_another_split(pt, tmp_path):
    source = original.read(pt / "Down2_Blur200")
    config = PrepareConfig(size="192x128", workers=1)
    data = prepare_source(source, tmp_path / "data", config)
    assert write_original_folders(source, data, tmp_path / "pt", workers=1) == {"Down2_Blur200": 30}
    expected = {path.name: path.read_bytes() for path in (pt / "Down2_Blur200").rglob("*.pt")}
    copies = {path.name: path for path in (tmp_path / "pt").rglob("*.pt")}
    assert {name: path.read_bytes() for name, path in copies.items()} == expected
    split_of = dict(zip(data.cases["case_id"], data.cases["split"], strict=True))
    assert {path.stem: path.parent.name.lower() for path in copies.values()} == split_of
    assert set(split_of.values()) == {"train", "valid", "test"}
    kept = prepare_source(source, tmp_path / "kept", replace(config, split="source"))
    assert write_original_folders(source, kept, tmp_path / "same", workers=1)
    assert contents(tmp_path / "same" / "Down2_Blur200") == contents(pt / "Down2_Blur200")
    with pytest.raises(DataError, match=r"already preprocessed as in the original GG-CAM(.|\n)*--split source"):
        prepare_source(source, tmp_path / "twice", ORIGINAL_PRESET)


def test_cases_of_any_source_can_be_written(simulated, tmp_path, caplog):
    config = PrepareConfig(size="64x64", split_file=simulated / "split.csv", workers=1)
    egd = egd_cxr.read(simulated)
    data = prepare_source(egd, tmp_path / "egd", config)
    write_original_folders(egd, data, tmp_path / "pt", workers=1)
    back = {case.case_id: case for case in original.read(tmp_path / "pt").cases}
    assert [(back[row.case_id].split, back[row.case_id].label) for row in data.cases.itertuples()] == list(
        zip(data.cases["split"], data.cases["label"], strict=True)
    )
    assert not caplog.text
    images = tmp_path / "images"
    for number, case in enumerate(small_source(tmp_path / "small", cases=12).cases):
        (images / f"class{number % 2}").mkdir(parents=True, exist_ok=True)
        case.image.rename(images / f"class{number % 2}" / case.image.name)
    plain = folder.read(images)
    data = prepare_source(plain, tmp_path / "plain", replace(config, split_file=None))
    write_original_folders(plain, data, tmp_path / "plain_pt", workers=1)
    assert "12 cases have no masks" in caplog.text
    assert original.read(tmp_path / "plain_pt").dropped == {"case without gaze (kept)": 12}


def test_tasks_and_outcomes_can_be_sent_to_other_processes(source, data, pt, tmp_path, monkeypatch):
    def send(value: object) -> object:
        return pickle.loads(pickle.dumps(value))

    def map_through_pickle(work: object, tasks: list, workers: int, guard: object) -> list:
        assert workers == 2
        return [send(send(work)(send(task))) for task in tasks]

    monkeypatch.setattr(writer, "parallel_map", map_through_pickle)
    write_original_folders(source, data, tmp_path / "pt", workers=2)
    assert contents(tmp_path / "pt") == contents(pt)


def test_an_interrupted_call_leaves_no_folder_and_is_continued_by_the_next(source, data, pt, tmp_path):
    def interrupt_after_seven(done: int, total: int) -> None:
        if done == 7:
            raise KeyboardInterrupt(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        write_original_folders(source, data, tmp_path / "pt", workers=1, progress=interrupt_after_seven)
    assert not (tmp_path / "pt").exists()
    other = replace(source, cases=source.cases[1:])
    with pytest.raises(GGCamError, match=r"an interrupted job with other settings or other cases(.|\n)*cases was"):
        write_original_folders(other, data, tmp_path / "pt", workers=1)
    calls: list[tuple[int, int]] = []
    write_original_folders(source, data, tmp_path / "pt", 1, progress=lambda *done: calls.append(done))
    assert calls[0] == (7, 30)
    assert calls[-1] == (30, 30)
    assert contents(tmp_path / "pt") == contents(pt)


def test_only_folders_of_this_kind_are_overwritten_and_only_on_request(source, data, pt, tmp_path):
    with pytest.raises(GGCamError, match=r"already(.|\n)*--overwrite"):
        write_original_folders(source, data, pt, workers=1)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("all my work")
    with pytest.raises(GGCamError, match="exists and was not created by ggcam"):
        write_original_folders(source, data, tmp_path / "precious", workers=1, overwrite=True)
    before = contents(pt)
    write_original_folders(source, data, pt, workers=1, overwrite=True)
    assert contents(pt) == before


def test_manifest_records_source_and_split(pt):
    manifest = json.loads((pt / "original.json").read_text())
    assert manifest["files"] == dict.fromkeys(FOLDERS, 30)
    assert manifest["split"]["how"] == "position"
    assert (manifest["source"], manifest["size"]) == ("original", "192x128")


def test_a_raw_file_that_was_damaged_meanwhile_is_reported(cases, tmp_path):
    root = write_raw(tmp_path / "raw", cases[::3])
    source = original.read(root)
    data = prepare_source(source, tmp_path / "data", ORIGINAL_PRESET)
    whole = (root / "D_0003" / "cxr.pk").read_bytes()
    (root / "D_0003" / "cxr.pk").write_bytes(whole[:1000])
    with pytest.raises(GGCamError, match=r"1 of the prepared cases can no longer be read(.|\n)*truncated(.|\n)*D_0003"):
        write_original_folders(source, data, tmp_path / "pt", workers=1)
    (root / "D_0003" / "cxr.pk").write_bytes(whole)
    assert write_original_folders(source, data, tmp_path / "pt", workers=1) == dict.fromkeys(FOLDERS, 10)


def test_a_prepared_folder_is_reused_only_for_the_same_source_and_options(source, data):
    found = load_if_same(source, data.root, ORIGINAL_PRESET)
    assert found is not None
    assert found.root == data.root
    for other in (
        replace(ORIGINAL_PRESET, preset="corrected"),
        replace(ORIGINAL_PRESET, size="96x64"),
        replace(ORIGINAL_PRESET, split="patient"),
        replace(ORIGINAL_PRESET, subset_fraction=0.5),
    ):
        assert load_if_same(source, data.root, other) is None
    assert load_if_same(source, data.root.with_name("nowhere"), ORIGINAL_PRESET) is None


# --- preparing by the preset


def test_subset_fraction_keeps_the_same_cases_as_the_original(cases, source, tmp_path):
    data = prepare_source(source, tmp_path / "data", replace(ORIGINAL_PRESET, subset_fraction=0.5, seed=3))
    table = pd.DataFrame({"ID": [case.case_id for case in cases], "Y": [case.label for case in cases]})
    assert {
        name: sorted(data.cases.loc[data.cases["split"] == name, "case_id"]) for name in ("train", "valid", "test")
    } == {name: sorted(ids) for name, ids in slow_original.split_by_position(table, 0.5, 3).items()}
    assert data.meta["dropped"]["case outside the subset fraction"] == 30 - len(data)
    assert data.meta["split"]["fraction"] == 0.5


def test_without_the_preset_images_are_fitted_and_patients_stay_in_one_split(cases, tmp_path):
    source = original.read(write_raw(tmp_path / "raw", cases, patients=True))
    data = prepare_source(source, tmp_path / "data", PrepareConfig(size="192x128", workers=1))
    assert data.cases.groupby("patient_id")["split"].nunique().max() == 1
    assert data.meta["dropped"] == {}
    assert (data.meta["preset"], data.meta["bits"]) == ("corrected", 8)
    landscape = data.cases[data.cases["raw_width_px"] == 380]
    assert landscape["scale_x"].tolist() == pytest.approx([128 / 380] * 10)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("cxr", np.full((380, 250), np.nan, np.float32), "95,000 not finite"),
        ("cxr", np.full((380, 250), -1, np.int16), "95,000 below 0"),
        ("cxr", np.ones((380, 250, 3), np.uint8), r"the array is not an image(.|\n)*shape \(380, 250, 3\)"),
        ("cxr", np.ones((250, 380), np.uint8), "another size than its gaze and regions refer to"),
        ("cxr", np.ones((4, 4), np.uint8), "4x4 pixels"),
        ("seg_right_lung", np.ones((379, 250), bool), "the mask has another size than its image"),
        ("seg_mediastanum", np.full((380, 250), np.inf), "not finite"),
    ],
)
def test_invalid_pixels_are_refused_with_their_file(cases, tmp_path, name, array, message):
    root = write_raw(tmp_path / "raw", cases[::3])
    (root / "D_0000" / f"{name}.pk").write_bytes(pickle.dumps(array))
    with pytest.raises(GGCamError, match=message) as caught:
        prepare_source(original.read(root), tmp_path / "data", ORIGINAL_PRESET)
    assert str(root / "D_0000" / f"{name}.pk") in str(caught.value)


def test_gaze_on_cropped_margins_stays_in_the_table_but_does_not_count(tmp_path):
    cases = [raw_case(number, 100, 380) for number in range(2)]
    for case, columns in zip(cases, ([10, 370], [10, 200]), strict=True):
        case.arrays["gaze_dot"][:] = 0
        case.arrays["gaze_dot"][50, columns] = 4
    source = original.read(write_raw(tmp_path / "raw", cases))
    data = prepare_source(source, tmp_path / "data", replace(ORIGINAL_PRESET, split_fractions=(0.0, 0.0, 1.0)))
    assert data.cases["has_gaze"].tolist() == [False, True]
    assert data.fixations["x_px"].tolist() == pytest.approx(
        [(10 - 62) / 2 + 0.5, (370 - 62) / 2 + 0.5, (10 - 62) / 2 + 0.5, (200 - 62) / 2 + 0.5]
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"subset_fraction": 0.0}, "above 0 and at most 1"),
        ({"subset_fraction": 1.5}, "above 0 and at most 1"),
        ({"subset_fraction": 0.5, "split": "patient"}, r"requires a split by position(.|\n)*a split by patient"),
        ({"split": "position", "split_file": Path("split.csv")}, "exclude each other"),
        ({"split_fractions": (0.5, 0.1, 0.1)}, "sum to 1"),
    ],
)
def test_invalid_options_are_refused(source, tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        prepare_source(source, tmp_path / "out", replace(ORIGINAL_PRESET, **settings))


def test_a_landscape_case_at_full_size_reproduces_the_recorded_one(golden, tmp_path):
    recorded = np.load(golden / "preprocess.npz")
    height, width = recorded["2_shape"].tolist()
    rows, columns = np.indices((height, width), sparse=True)
    arrays = raw_case(0, height, width).arrays | {"cxr": ((7 * rows + 13 * columns) % 4096).astype(np.uint16)}
    arrays["gaze_dot"] = np.zeros((height, width), np.int8)
    at_row, at_column, count = recorded["2_points"].T
    np.add.at(arrays["gaze_dot"], (at_row, at_column), count.astype(np.int8))
    source = original.read(write_raw(tmp_path / "raw", [RawCase("x", 1, "p", arrays)]))
    config = PrepareConfig(preset="original", split_fractions=(0.0, 0.0, 1.0), workers=1)
    data = prepare_source(source, tmp_path / "data", config)
    write_original_folders(source, data, tmp_path / "pt", workers=1)
    for blur in (200, 500, 800):
        found = torch.load(tmp_path / "pt" / f"Down2_Blur{blur}" / "Test" / "x.pt")
        np.testing.assert_allclose(found["gaze"], recorded[f"2_gaze_{blur}"], atol=1e-5)
    assert tuple(found["cxr"].shape) == tuple(recorded["2_cxr_shape"])
    np.testing.assert_array_equal(found["cxr"][0, ::64, ::64], recorded["2_cxr_sub"])
    assert float(found["cxr"].double().sum()) == pytest.approx(float(recorded["2_cxr_sum"]), rel=1e-12)
    np.testing.assert_array_equal(found["lung"], recorded["2_lung"])
    np.testing.assert_array_equal(found["heart"], recorded["2_heart"])
    np.testing.assert_allclose(data.read_image("x")[::64, ::64] / 65535, recorded["2_cxr_sub"], atol=1e-5)
