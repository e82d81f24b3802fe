"""The study of label-specific gaze, at a small size."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ggcam.data.prepared import PreparedData
from ggcam.data.sources import reflacx

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def study() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        return importlib.import_module("experiments.label_gaze")


@pytest.fixture(scope="module")
def data(study: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return study.simulated_data(tmp_path_factory.mktemp("study"), 7, 45)


@pytest.fixture(scope="module")
def targets(study: ModuleType, data: PreparedData) -> list:
    return study.find_targets(data)


def test_the_table_has_every_method_with_its_intervals(study: ModuleType, targets: list):
    table = study.measure(targets, targets).set_index("fixations")
    assert set(study.METHODS) < set(table.index)
    assert table.loc[study.WINDOW, "pointing, minus window"] == "0.000 [0.000, 0.000]"
    value = {name: float(text.split()[0]) for name, text in table["pointing accuracy"].items()}
    assert value[study.ALL_CUES] > value["prior x scanpath"] > value["prior alone"]
    assert value[study.ALL_CUES] > value["another patient's record, all cues"]
    assert table["IoU"].str.fullmatch(r"0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]").all()
    findings = study.by_finding(targets)
    assert findings["cases"].sum() <= len(targets)
    assert findings["cases"].min() >= 10


def test_every_label_has_a_reader_who_names_it_and_an_ellipse(targets: list):
    assert len(targets) > 30
    for target in targets:
        assert any(target.mentions.values())
        assert target.truth.any()
        assert len(target.gaze) == len(target.scanpath.across)


def test_another_record_is_that_of_another_patient_laid_over_the_chest(study: ModuleType, targets: list):
    several = [target for target in targets if sum(each.finding == target.finding for each in targets) > 5]
    for own, mixed in zip(several, study.with_other_records(several), strict=True):
        assert mixed.finding == own.finding
        assert mixed.patient_id == own.patient_id
        assert not np.array_equal(mixed.scanpath.across, own.scanpath.across)
        x0, _, x1, _ = own.chest
        np.testing.assert_allclose((mixed.gaze.x_px - x0) / (x1 - x0), mixed.scanpath.across)


def test_a_peak_is_a_hit_by_the_share_of_its_cells_in_the_truth(study: ModuleType):
    maps = np.zeros((3, 2, 2))
    maps[0, 0, 1] = 2.0
    maps[1] = 1.0
    maps[2, 1, 1] = 1.0
    truth = np.zeros((3, 2, 2), dtype=bool)
    truth[:, 0, 1] = True
    assert study.points_at(maps, truth).tolist() == [1.0, 0.25, 0.0]


def test_a_window_without_fixations_falls_back_to_all(study: ModuleType, targets: list):
    target = targets[0]
    late = {key: [type(each)(each.finding, 1e4, 1e4 + 1) for each in named] for key, named in target.mentions.items()}
    found = study.draw_window(study.replace(target, mentions=late), window_s=1.5)
    np.testing.assert_allclose(found, study.METHODS[study.WHOLE](target))


def test_the_window_of_a_run_is_that_of_preparing(study: ModuleType, data: PreparedData):
    source = reflacx.read(data.root.with_name(data.root.name.replace("data", "raw")), dictation_window_s=1.5)
    expected = {
        (reading_id, start_s): label
        for case in source.cases
        for reading_id, gaze in case.readings.items()
        for start_s, label in zip(gaze.start_s.tolist(), gaze.label.tolist(), strict=True)
    }
    table = study.with_window(data).fixations
    found = zip(table["reading_id"], table["start_s"], table["label"].fillna(""), strict=True)
    assert {(reading_id, start_s): label for reading_id, start_s, label in found} == expected
    assert len(set(expected.values())) > 3
