from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pydicom
import pytest

import ggcam
from ggcam.errors import DataError
from ggcam.simulation import SimulationConfig, egd_columns
from ggcam.simulation.egd_screen import SimulatedScreen
from ggcam.simulation.simulator import SimulationSummary, simulate

CONFIG = SimulationConfig(cases=60, size="128x104", seed=3, shortcut=0.8, no_gaze_prob=0.1, workers=1)
HEIGHT, WIDTH = 128, 104


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SimulationSummary]:
    out = tmp_path_factory.mktemp("simulated") / "egd"
    return out, simulate(out, CONFIG)


def digests(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def gaze_of_cases(root: Path) -> pd.DataFrame:
    gaze = pd.read_csv(root / "fixations.csv")
    return gaze[gaze["DICOM_ID"].str.len() == 44]


def test_data_do_not_depend_on_the_number_of_workers(simulated, tmp_path: Path):
    simulate(tmp_path / "two", replace(CONFIG, workers=2))
    assert digests(tmp_path / "two") == digests(simulated[0])


def test_data_depend_on_the_seed(simulated, tmp_path: Path):
    simulate(tmp_path / "other", replace(CONFIG, seed=4))
    images, others = (
        {name: digest for name, digest in digests(root).items() if name.endswith(".dcm")}
        for root in (simulated[0], tmp_path / "other")
    )
    assert len(images) == len(others) == 60
    assert not set(images) & set(others)
    assert not set(images.values()) & set(others.values())


def test_tables_have_the_columns_of_the_real_ones(simulated):
    root, _ = simulated
    assert (len(egd_columns.MASTER), len(egd_columns.FIXATIONS)) == (59, 37)
    for name, header in {
        "master_sheet.csv": egd_columns.MASTER,
        "fixations.csv": egd_columns.FIXATIONS,
        "bounding_boxes.csv": ("dicom_id", "bbox_name", "x1", "x2", "y1", "y2"),
        "findings.csv": ("dicom_id", "name", "kind", "x0_px", "y0_px", "x1_px", "y1_px"),
        "split.csv": ("id", "split"),
    }.items():
        with (root / name).open(newline="") as file:
            rows = list(csv.reader(file))
        assert tuple(rows[0]) == header
        assert {len(row) for row in rows} == {len(header)}


def test_the_master_sheet_has_line_breaks_inside_fields(simulated):
    root, summary = simulated
    assert len(pd.read_csv(root / "master_sheet.csv")) == summary.cases == 60
    assert len((root / "master_sheet.csv").read_text().splitlines()) > 61


def test_every_record_has_a_class_an_image_masks_and_a_transcript(simulated):
    root, summary = simulated
    master = pd.read_csv(root / "master_sheet.csv")
    assert (master[["Normal", "CHF", "pneumonia"]].sum(axis=1) == 1).all()
    assert summary.per_class == {"Normal": 20, "CHF": 20, "pneumonia": 20}
    for record in master.to_dict("records"):
        dataset = pydicom.dcmread(root / record["path"])
        assert dataset.pixel_array.shape == (HEIGHT, WIDTH)
        assert dataset.BitsStored == 12
        assert 500 < np.ptp(dataset.pixel_array) <= 4095
        assert dataset.PatientID == str(record["patient_id"])
        folder = root / "audio_segmentation_transcripts" / record["dicom_id"]
        for name in ("left_lung", "right_lung", "mediastanum", "aortic_knob"):
            mask = cv2.imread(str(folder / f"{name}.png"), cv2.IMREAD_UNCHANGED)
            assert mask is not None
            assert mask.shape == (HEIGHT, WIDTH)
            assert set(np.unique(mask)) == {0, 255}
        transcript = json.loads((folder / "transcript.json").read_text())
        assert transcript["full_text"] == " ".join(part["phrase"] for part in transcript["time_stamped_text"])
        assert all(part["begin_time"] < part["end_time"] for part in transcript["time_stamped_text"])


def test_ordinary_and_inverted_images_show_the_heart_brighter_than_the_lung(simulated):
    root, _ = simulated
    kinds = set()
    for record in pd.read_csv(root / "master_sheet.csv").to_dict("records"):
        dataset = pydicom.dcmread(root / record["path"])
        inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
        kinds.add(inverted)
        low = dataset.WindowCenter - dataset.WindowWidth / 2
        shown = (dataset.pixel_array - low) / dataset.WindowWidth
        shown = 1 - shown if inverted else shown
        folder = root / "audio_segmentation_transcripts" / record["dicom_id"]
        heart, lung = (cv2.imread(str(folder / f"{name}.png"), -1) > 0 for name in ("mediastanum", "left_lung"))
        assert shown[heart].mean() > 0.1 + shown[lung].mean()
        assert 0 < shown[lung].mean() < 1
    assert kinds == {True, False}


def test_every_image_has_seventeen_boxes_inside_it(simulated):
    boxes = pd.read_csv(simulated[0] / "bounding_boxes.csv")
    assert (boxes.groupby("dicom_id")["bbox_name"].nunique() == 17).all()
    assert ((boxes["x1"] >= 0) & (boxes["x1"] < boxes["x2"]) & (boxes["x2"] <= WIDTH)).all()
    assert ((boxes["y1"] >= 0) & (boxes["y1"] < boxes["y2"]) & (boxes["y2"] <= HEIGHT)).all()


def test_calibrations_have_a_shortened_id(simulated):
    root, _ = simulated
    gaze = pd.read_csv(root / "fixations.csv")
    ids = set(pd.read_csv(root / "master_sheet.csv")["dicom_id"])
    short = set(gaze["DICOM_ID"]) - ids
    assert len(short) == 3
    assert all(any(whole[:-5] == name for whole in ids) for name in short)


def test_fixations_have_the_positions_of_the_screen_mapping_and_are_negative_off_the_image(simulated):
    root, summary = simulated
    gaze = gaze_of_cases(root)
    assert len(gaze) == summary.fixations
    off_image = gaze["X_ORIGINAL"] < 0
    assert 0 < off_image.sum() < 0.1 * len(gaze)
    assert ((gaze["Y_ORIGINAL"] < 0) == off_image).all()
    assert (gaze["X_ORIGINAL"] < WIDTH).all()
    assert (gaze["Y_ORIGINAL"] < HEIGHT).all()
    assert (gaze["FPOGD"] == 0).any()
    x, y = SimulatedScreen(HEIGHT, WIDTH).to_original(gaze["FPOGX"].to_numpy(), gaze["FPOGY"].to_numpy())
    assert (x == gaze["X_ORIGINAL"]).all()
    assert (y == gaze["Y_ORIGINAL"]).all()


def test_no_gaze_prob_leaves_cases_without_gaze(simulated):
    root, summary = simulated
    with_gaze = gaze_of_cases(root)["DICOM_ID"].nunique()
    assert with_gaze == 60 - summary.without_gaze
    assert 0 < summary.without_gaze < 20


def test_findings_table_matches_the_class_and_includes_the_marker(simulated):
    root, _ = simulated
    findings = pd.read_csv(root / "findings.csv").groupby("dicom_id")["name"].agg(set)
    for record in pd.read_csv(root / "master_sheet.csv").to_dict("records"):
        names = findings[record["dicom_id"]]
        assert "shortcut marker" in names
        assert ("consolidation" in names) == (record["pneumonia"] == 1)
        assert ("basal haze" in names) == (record["CHF"] == 1)
        assert (names == {"shortcut marker"}) == (record["Normal"] == 1)


def test_progress_is_reported_after_each_case(tmp_path: Path):
    calls = []
    simulate(tmp_path / "out", replace(CONFIG, cases=12), progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 12) for done in range(1, 13)]


def test_an_empty_folder_is_used_and_other_ones_are_refused_unchanged(tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    simulate(out, replace(CONFIG, cases=12))
    before = digests(out)
    with pytest.raises(DataError, match="exists already") as caught:
        simulate(out, replace(CONFIG, cases=12))
    assert "hint: choose another folder" in str(caught.value)
    assert digests(out) == before
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(DataError, match="is a file"):
        simulate(file, CONFIG)
    assert file.read_text() == "mine"


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_simulation_leaves_no_files(tmp_path: Path, workers: int):
    def stop(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path / "out", replace(CONFIG, workers=workers), progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_remains_of_a_killed_run_are_replaced(tmp_path: Path):
    (tmp_path / "out.partial" / "files").mkdir(parents=True)
    (tmp_path / "out.partial" / "old.csv").write_text("half")
    simulate(tmp_path / "out", replace(CONFIG, cases=12))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not (tmp_path / "out" / "old.csv").exists()


def test_public_function_returns_the_summary_and_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    summary = ggcam.simulate(str(tmp_path / "raw"), ggcam.SimulationConfig(cases=12, size="64x64", workers=1))
    assert summary.root == tmp_path / "raw"
    assert (summary.cases, sum(summary.per_split.values())) == (12, 12)
    assert summary.fixations == len(gaze_of_cases(summary.root))
    assert capfd.readouterr() == ("", "")
