from __future__ import annotations

import logging
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from data.sources.original_fixture import RawCase, raw_case, write_raw
from ggcam.data import sources
from ggcam.data.images import read_mask, read_pixels
from ggcam.data.original.pt_files import OriginalFile, write_original
from ggcam.data.sources import original
from ggcam.errors import ConfigError, DataError, GGCamError
from ggcam.gaze.maps import attention_map

# --- the raw layout


@pytest.fixture
def cases() -> list[RawCase]:
    return [raw_case(number) for number in range(6)]


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_every_case_has_its_pixels_gaze_and_masks(tmp_path, cases, protocol):
    source = original.read(write_raw(tmp_path / "raw", cases, patients=True, protocol=protocol))
    assert source.class_names == ("Normal", "CHF", "pneumonia")
    assert source.dropped == {}
    assert [case.case_id for case in source.cases] == [case.case_id for case in cases]
    for found, case in zip(source.cases, cases, strict=True):
        assert (found.label, found.patient_id, found.raw_size) == (case.label, case.patient_id, (180, 150))
        np.testing.assert_array_equal(read_pixels(found.image), case.arrays["cxr"])
        for name in ("left_lung", "right_lung"):
            np.testing.assert_array_equal(read_mask(found.masks[name], name), case.arrays[f"seg_{name}"])
        np.testing.assert_array_equal(
            read_mask(found.masks["mediastinum"], "mediastinum"), case.arrays["seg_mediastanum"]
        )


def test_a_pixel_with_gaze_samples_is_a_fixation_at_its_centre_with_their_duration(tmp_path, cases):
    gaze = cases[0].arrays["gaze_dot"]
    gaze[:] = 0
    gaze[3, 10], gaze[170, 149] = 6, 120
    root = write_raw(tmp_path / "raw", cases)
    found = original.read(root).cases[0].fixations
    assert (found.x_px.tolist(), found.y_px.tolist()) == ([10.5, 149.5], [3.5, 170.5])
    assert found.duration_s.tolist() == pytest.approx([0.1, 2.0])
    assert np.isnan(found.start_s).all()
    fast = original.read(root, sampling_rate_hz=120).cases[0].fixations
    assert fast.duration_s.tolist() == pytest.approx([0.05, 1.0])


def test_unusable_gaze_is_counted(tmp_path, cases, caplog):
    cases[0].arrays["gaze_dot"][:] = 0
    cases[1].arrays["gaze_dot"][5, 5] = -3
    root = write_raw(tmp_path / "raw", cases)
    (root / "D_0099").mkdir()
    with caplog.at_level(logging.WARNING):
        source = original.read(root)
    assert source.dropped == {
        "pixel with a negative number of gaze samples": 1,
        "case without gaze (kept)": 1,
        "folder that data_summary.csv does not list": 1,
    }
    assert not source.cases[0].readings
    assert "each image counts as one patient" in caplog.text
    assert source.cases[3].patient_id == source.cases[3].case_id


def test_the_first_column_is_the_index_whatever_its_name_and_order(tmp_path, cases):
    root = write_raw(tmp_path / "raw", cases)
    (root / "data_summary.csv").write_text("number,ID,Y\n4,four,1\n2,two,0\n")
    source = original.read(root)
    assert [(case.case_id, case.label, case.image.parent.name) for case in source.cases] == [
        ("four", 1, "D_0004"),
        ("two", 0, "D_0002"),
    ]
    assert source.dropped["folder that data_summary.csv does not list"] == 4


def lose_files(root: Path) -> None:
    (root / "D_0001" / "cxr.pk").unlink()
    shutil.rmtree(root / "D_0003")


def test_missing_files_are_reported_or_left_out(tmp_path, cases):
    root = write_raw(tmp_path / "raw", cases)
    lose_files(root)
    with pytest.raises(GGCamError, match=r"2 of 6 cases lack files(.|\n)*D_0001.cxr.pk, .*D_0003(.|\n)*and 3 more"):
        original.read(root)
    source = original.read(root, skip_missing=True)
    assert [case.image.parent.name for case in source.cases] == ["D_0000", "D_0002", "D_0004", "D_0005"]
    assert source.dropped["case whose files are missing"] == 2


class Hostile:
    def __init__(self, victim: Path):
        self.victim = victim

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.victim),)


@pytest.mark.parametrize(
    ("gaze", "message"),
    [
        (np.zeros((2, 3, 4)), r"gaze_dot is not an image(.|\n)*shape \(2, 3, 4\)"),
        (np.full((180, 150), np.nan, np.float32), "a number of gaze samples is not finite"),
        ([1, 2], "not hold an array"),
    ],
)
def test_invalid_gaze_is_reported_or_left_out(tmp_path, cases, gaze, message):
    root = write_raw(tmp_path / "raw", cases)
    (root / "D_0002" / "gaze_dot.pk").write_bytes(pickle.dumps(gaze))
    with pytest.raises(GGCamError, match=message) as caught:
        original.read(root)
    assert "1 of 6 cases cannot be read" in str(caught.value)
    assert str(root / "D_0002" / "gaze_dot.pk") in str(caught.value)
    source = original.read(root, skip_missing=True)
    assert len(source.cases) == 5
    assert source.dropped["case whose files cannot be read"] == 1


@pytest.mark.parametrize("name", ["gaze_dot", "cxr", "seg_left_lung"])
def test_a_malicious_pickle_is_refused_in_any_place(tmp_path, cases, name):
    root = write_raw(tmp_path / "raw", cases)
    (root / "D_0002" / f"{name}.pk").write_bytes(pickle.dumps(Hostile(tmp_path / "victim")))

    def read_all() -> None:
        for case in original.read(root).cases:
            read_pixels(case.image)
            for mask, path in case.masks.items():
                read_mask(path, mask)

    with pytest.raises(GGCamError, match=rf"{os.mkdir.__module__}\.mkdir(.|\n)*nothing of it was run"):
        read_all()
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "first column must|no column"),
        ("Y,ID\n0,a\n", "the first column must number the folders"),
        (",Y\n0,1\n", "no column ID"),
        (",ID\n0,a\n", "no column Y"),
        (",Y,ID\n0,3,a\n", r"unknown label(.|\n)*data_summary.csv:2(.|\n)*0 to 2: Normal, CHF, pneumonia(.|\n)*'3'"),
        (",Y,ID\n0,1,a\n1,-1,b\n", r"unknown label(.|\n)*data_summary.csv:3(.|\n)*'-1'"),
        (",Y,ID\n0,CHF,a\n", r"unknown label(.|\n)*'CHF'"),
        (",Y,ID\n0,,a\n", "unknown label"),
        (",Y,ID\n0,1,a\n1,1,a\n", r"an ID is listed twice(.|\n)*data_summary.csv:3"),
        (",Y,ID\n0,1,a\n0,1,b\n", r"an index is listed twice(.|\n)*data_summary.csv:3"),
        (",Y,ID\nx,1,a\n", r"the index must be a whole number(.|\n)*'x'"),
        (",Y,ID\n-1,1,a\n", "the index must be a whole number"),
        (",Y,ID\n0,1,\n", "a row has no ID"),
        (",Y,ID,patient_id\n0,1,a,\n", "a row has no patient_id"),
        (",Y,ID\n", "no case is left"),
    ],
)
def test_a_broken_table_is_reported_with_place_and_reason(tmp_path, cases, table, message):
    root = write_raw(tmp_path / "raw", cases)
    (root / "data_summary.csv").write_text(table)
    with pytest.raises(GGCamError, match=message):
        original.read(root)


@pytest.mark.parametrize("rate", [0, -60, float("nan")])
def test_an_invalid_sampling_rate_is_refused(tmp_path, cases, rate):
    with pytest.raises(ConfigError, match="sampling rate must be above 0"):
        original.read(write_raw(tmp_path / "raw", cases), sampling_rate_hz=rate)


def test_the_raw_layout_has_no_blur(tmp_path, cases):
    with pytest.raises(ConfigError, match="no blurred maps"):
        original.read(write_raw(tmp_path / "raw", cases), blur=500)


# --- the prepared layout


def prepared_file(number: int) -> OriginalFile:
    rng = np.random.default_rng(number)
    cxr = rng.random((96, 64), dtype=np.float32)
    gaze = np.round(rng.random((3, 2), dtype=np.float32), 3)
    gaze[0, 0] = 0
    return OriginalFile(cxr / cxr.max(), gaze / gaze.max(), gaze > 0.5, gaze > 0.8, number % 3)


@pytest.fixture
def pt(tmp_path: Path) -> Path:
    """Five cases per blur; the gaze of b differs between blurs."""
    for blur in (200, 500):
        for number, (split, case_id) in enumerate(
            [("Train", "a"), ("Train", "b"), ("Valid", "c"), ("Test", "d"), ("Test", "e")]
        ):
            folder = tmp_path / "pt" / f"Down2_Blur{blur}" / split
            folder.mkdir(parents=True, exist_ok=True)
            write_original(folder / f"{case_id}.pt", prepared_file(number + blur))
    return tmp_path / "pt"


def test_every_file_is_a_case_with_its_split_and_its_map_as_weights(pt):
    source = original.read(pt)
    assert source.dropped == {}
    assert [(case.case_id, case.split) for case in source.cases] == [
        ("a", "train"), ("b", "train"), ("c", "valid"), ("d", "test"), ("e", "test"),
    ]  # fmt: skip
    for number, case in enumerate(source.cases):
        content = prepared_file(number + 500)
        assert case.label == content.label
        assert case.flags == ("gaze_map=Down2_Blur500", "lungs_merged")
        np.testing.assert_array_equal(read_pixels(case.image), content.cxr)
        drawn = attention_map(case.fixations, (3, 2), (96, 64), sigma_px=2.0)
        np.testing.assert_allclose(drawn, content.gaze, atol=1e-6)
        assert set(case.masks) == {"left_lung", "right_lung"} | ({"mediastinum"} if content.heart.any() else set())


def test_the_blur_is_chosen_by_option_or_by_naming_its_folder(pt):
    def first_map(root: Path, **options: int) -> list[float]:
        return original.read(root, **options).cases[0].fixations.duration_s.tolist()

    by_default = first_map(pt)
    assert by_default == first_map(pt / "Down2_Blur500") == first_map(pt, blur=500)
    assert first_map(pt, blur=200) == first_map(pt / "Down2_Blur200") != by_default
    shutil.rmtree(pt / "Down2_Blur500")
    assert first_map(pt) == first_map(pt, blur=200)
    with pytest.raises(ConfigError, match=r"no folders have the blur 500(.|\n)*one of 200"):
        first_map(pt, blur=500)


def test_two_folders_with_one_blur_are_ambiguous(pt):
    shutil.copytree(pt / "Down2_Blur500", pt / "Down4_Blur500")
    with pytest.raises(ConfigError, match=r"2 folders have the blur 500(.|\n)*pass the folder itself"):
        original.read(pt)


def _overwrite(pt: Path, **changes: torch.Tensor) -> None:
    path = pt / "Down2_Blur500" / "Test" / "d.pt"
    torch.save({**torch.load(path), **changes}, path)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "label": (lambda pt: _overwrite(pt, Y=torch.tensor(3)), r"unknown label(.|\n)*Y of 0 to 2"),
    "gaze": (lambda pt: _overwrite(pt, gaze=torch.zeros(1, 2, 2)), "gaze has another shape"),
    "cut off": (
        lambda pt: os.truncate(pt / "Down2_Blur500" / "Test" / "d.pt", 5000),
        "truncated or damaged",
    ),
    "empty": (lambda pt: os.truncate(pt / "Down2_Blur500" / "Test" / "d.pt", 0), "truncated or damaged"),
}


@pytest.mark.parametrize(("damage", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_reported_or_left_out(pt, damage, message):
    damage(pt)
    with pytest.raises(GGCamError, match=message) as caught:
        original.read(pt)
    assert str(pt / "Down2_Blur500" / "Test" / "d.pt") in str(caught.value)
    source = original.read(pt, skip_missing=True)
    assert [case.case_id for case in source.cases] == ["a", "b", "c", "e"]
    assert source.dropped == {"case whose files cannot be read": 1}


def test_a_malicious_file_is_refused_and_not_run(pt, tmp_path):
    torch.save({"cxr": Hostile(tmp_path / "victim")}, pt / "Down2_Blur500" / "Test" / "d.pt")
    with pytest.raises(GGCamError, match=rf"{os.mkdir.__module__}\.mkdir"):
        original.read(pt)
    assert not (tmp_path / "victim").exists()


def test_an_id_in_two_splits_is_refused_and_other_files_are_counted(pt):
    folder = pt / "Down2_Blur500"
    (folder / "Train" / "notes.txt").write_text("x")
    assert original.read(pt).dropped == {"file that is not a .pt file": 1}
    shutil.copy(folder / "Train" / "a.pt", folder / "Test" / "a.pt")
    with pytest.raises(DataError, match=r"in several splits(.|\n)*got: a"):
        original.read(pt)


def test_a_map_of_nan_is_a_case_without_gaze(pt):
    _overwrite(pt, gaze=torch.full((1, 3, 2), torch.nan))
    source = original.read(pt)
    assert source.dropped == {"case without gaze (kept)": 1}
    assert [bool(case.readings) for case in source.cases] == [True, True, True, False, True]


def test_only_the_two_layouts_are_recognised(tmp_path, pt, cases):
    assert sources.detect(write_raw(tmp_path / "raw", cases)) == "original"
    assert sources.detect(pt) == sources.detect(pt / "Down2_Blur500") == "original"
    (tmp_path / "other" / "Down2_Blur500").mkdir(parents=True)
    assert not original.can_read(tmp_path / "other")
    with pytest.raises(GGCamError, match="neither layout of the original"):
        original.read(tmp_path / "other")
