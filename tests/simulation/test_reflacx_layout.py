from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.sources.reflacx_fixture import CORNERS, FIXATION, FIXED, LABELS
from ggcam.data import sources
from ggcam.data.case import Region
from ggcam.data.sources import reflacx
from ggcam.data.sources.reflacx_labels import CLASS_NAMES
from ggcam.gaze.fixations import Fixations
from ggcam.simulation import SimulationConfig
from ggcam.simulation.reflacx_screen import HEIGHT_PX, LEFT_PX, RIGHT_PX, draw_views
from ggcam.simulation.scanpath import SimulatedGaze
from ggcam.simulation.simulator import SimulationSummary, simulate
from simulation.test_simulator import digests

CONFIG = SimulationConfig(cases=45, layout="reflacx", size="96x80", seed=3, no_gaze_prob=0.02, workers=1)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SimulationSummary]:
    out = tmp_path_factory.mktemp("simulated") / "reflacx"
    return out, simulate(out, CONFIG)


def rows(path: Path) -> list[list[str]]:
    text = path.read_bytes().decode()
    assert text.count("\n") == text.count("\r\n")
    with path.open(newline="") as file:
        return list(csv.reader(file))


def records(root: Path) -> dict[str, dict[str, str]]:
    found = {}
    for path in sorted(root.glob("main_data/metadata_phase_?.csv")):
        header, *lines = rows(path)
        found |= {line[0]: dict(zip(header, line, strict=True)) | {"phase": path.stem[-1]} for line in lines}
    return found


def test_tables_have_the_columns_and_line_endings_of_the_real_ones(simulated):
    root, _ = simulated
    for phase, labels in LABELS.items():
        header, *lines = rows(root / f"main_data/metadata_phase_{phase}.csv")
        assert header == [*FIXED, *labels]
        for reading_id in (line[0] for line in lines):
            folder = root / "main_data" / reading_id
            assert rows(folder / "anomaly_location_ellipses.csv")[0] == [*CORNERS, "certainty", *labels]
            assert rows(folder / "chest_bounding_box.csv")[0] == CORNERS
            if (folder / "fixations.csv").exists():
                assert rows(folder / "fixations.csv")[0] == FIXATION


def test_phases_1_and_2_have_five_readers_per_image_and_phase_3_has_one(simulated):
    found = records(simulated[0])
    readers = Counter((record["phase"], record["dicom_id"]) for record in found.values())
    assert {phase: {count for (other, _), count in readers.items() if other == phase} for phase in "123"} == {
        "1": {5}, "2": {5}, "3": {1}
    }  # fmt: skip
    assert len(readers) == len({dicom_id for _, dicom_id in readers}) == 45
    assert all(re.fullmatch(rf"P{record['phase']}\d\dR\d{{6}}", name) for name, record in found.items())
    assert all(name.startswith("P300R") for name, record in found.items() if record["phase"] == "3")


def test_discarded_readings_have_only_box_and_ellipses(simulated):
    root, summary = simulated
    found = records(root)
    discarded = [name for name, record in found.items() if record["eye_tracking_data_discarded"] == "True"]
    assert 0 < len(discarded) == len(found) - summary.readings
    for name in found:
        files = {path.name for path in (root / "main_data" / name).iterdir()}
        gaze = {"fixations.csv", "timestamps_transcription.csv", "transcription.txt"}
        assert files == {"anomaly_location_ellipses.csv", "chest_bounding_box.csv"} | (
            set() if name in discarded else gaze
        )


def test_readings_include_zoomed_views_gaze_off_the_image_and_negative_times(simulated):
    fixations = [
        dict(zip(FIXATION, map(float, row), strict=True))
        for path in simulated[0].rglob("fixations.csv")
        for row in rows(path)[1:]
    ]
    shown = Counter(row["xmax_shown_from_image"] - row["xmin_shown_from_image"] for row in fixations)
    assert shown[80] / shown.total() > 0.5
    assert len(shown) > 2
    assert any(row["x_position"] < 0 for row in fixations)
    assert any(row["timestamp_start_fixation"] < 0 for row in fixations)
    for row in fixations:
        part = row["xmax_shown_from_image"] - row["xmin_shown_from_image"]
        screen = row["xmax_in_screen_coordinates"] - row["xmin_in_screen_coordinates"]
        assert row["angular_resolution_x_pixels_per_degree"] == pytest.approx(2160 / 28.5 * part / screen, abs=1e-4)


@pytest.mark.parametrize("readings", ["merged", "separate"])
def test_all_readings_are_read_and_dropped_fixations_are_counted(simulated, readings):
    root, summary = simulated
    assert sources.detect(root) == "reflacx"
    source = reflacx.read(root, readings=readings)
    found = records(root)
    assert len(source.cases) == (45 if readings == "merged" else len(found))
    assert sum(len(case.readings) for case in source.cases) == summary.readings
    kept = sum(len(case.fixations) for case in source.cases)
    assert kept + sum(n for reason, n in source.dropped.items() if reason.startswith("fixation")) == summary.fixations
    assert kept > 0.9 * summary.fixations
    assert source.dropped["reading whose gaze the authors discarded (regions kept)"] == len(found) - summary.readings
    assert {case.split for case in source.cases} == {"train", "valid", "test"}
    if readings == "merged":
        assert max(len(case.readings) for case in source.cases) == 5


def test_labels_of_the_readers_agree_with_the_drawn_findings(simulated):
    source = reflacx.read(simulated[0])
    share = {name: np.mean([case.label[at] == 1 for case in source.cases]) for at, name in enumerate(CLASS_NAMES)}
    assert 0.2 < share["Consolidation"] < 0.5
    assert 0.2 < share["Pulmonary edema"] < 0.5
    assert share["Hiatal hernia"] < 0.15
    for case in source.cases:
        assert sum(region.name == "chest" for region in case.regions) == 1
    drawn = {case.case_id for case in source.cases for region in case.regions if region.name == "Consolidation"}
    labelled = {case.case_id for case in source.cases if case.label[CLASS_NAMES.index("Consolidation")] == 1}
    assert len(drawn & labelled) > 0.8 * len(drawn | labelled)


def covers(region: Region, gaze: Fixations) -> np.ndarray:
    across = (region.x0_px <= gaze.x_px) & (gaze.x_px < region.x1_px)
    return across & (region.y0_px <= gaze.y_px) & (gaze.y_px < region.y1_px)


def test_fixations_labelled_by_the_dictation_lie_on_their_finding_more_often(simulated):
    source = reflacx.read(simulated[0], dictation_window_s=1.5)
    inside: dict[bool, list[bool]] = {True: [], False: []}
    for case in source.cases:
        gaze = case.fixations
        for name in {region.name for region in case.regions if region.is_finding}:
            on = np.zeros(len(gaze), bool)
            for region in case.regions:
                if region.name == name:
                    on |= covers(region, gaze)
            for named in (True, False):
                inside[named] += on[(gaze.label == name) == named].tolist()
    assert np.mean(inside[True]) > 1.3 * np.mean(inside[False])


def test_data_depend_on_the_seed_but_not_on_the_number_of_workers(simulated, tmp_path):
    simulate(tmp_path / "two", replace(CONFIG, workers=2))
    assert digests(tmp_path / "two") == digests(simulated[0])


@given(st.integers(20, 300), st.integers(20, 300), st.integers(0, 10**6))
def test_views_show_the_fixated_point_undistorted(height, width, seed):
    rng = np.random.default_rng(seed)
    n = 40
    x, y = rng.uniform(-20, width + 20, n), rng.uniform(-20, height + 20, n)
    views = draw_views(SimulatedGaze(x, y, np.arange(n) * 0.3, np.full(n, 0.2)), height, width, rng)
    left, top, right, bottom = views.shown_px.T
    assert (left >= 0).all() and (top >= 0).all() and (right <= width).all() and (bottom <= height).all()  # noqa: PT018
    on_image = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    inside = (x >= left - 0.5) & (x <= right + 0.5) & (y >= top - 0.5) & (y <= bottom + 0.5)
    assert inside[on_image].all()
    area = views.screen_px
    assert (area >= (LEFT_PX, 0, LEFT_PX, 0)).all()
    assert (area <= (RIGHT_PX, HEIGHT_PX, RIGHT_PX, HEIGHT_PX)).all()
    across, down = views.px_per_degree.T
    # Whole pixels of a small image are coarse.
    np.testing.assert_allclose(across, down, rtol=1.2 / min((right - left).min(), (bottom - top).min()))
