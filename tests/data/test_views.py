"""Arrangements of prepared data: folds, fewer training cases, and controls in the place of gaze."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ggcam.data.dataset import PreparedDataset
from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.data.view_config import ViewConfig
from ggcam.data.views import apply_view, with_control, with_folds, with_train_cases
from ggcam.errors import ConfigError
from ggcam.gaze.maps import attention_map
from multilabel_fixture import prepare_multilabel, write_multilabel

CONTROLS = ("shuffled-gaze", "centre", "lung-mask", "random-map")


@pytest.fixture(scope="module")
def data(prepared: Path) -> PreparedData:
    return load_prepared(prepared)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """Cases of several labels, some of whose fixations name one."""
    return prepare_multilabel(write_multilabel(tmp_path_factory.mktemp("several") / "raw", cases=80))


def test_nothing_asked_is_nothing_done(data):
    assert apply_view(data, ViewConfig()) is data


def test_every_case_is_tested_once_over_the_folds_and_patients_stay_together(data):
    tested: Counter[str] = Counter()
    for fold in range(4):
        cases = with_folds(data, 4, fold, seed=1).cases
        assert set(cases["split"]) == {"train", "valid", "test"}
        assert (cases.groupby("patient_id")["split"].nunique() == 1).all()
        assert (cases[cases["split"] == "test"].groupby("label").size() > 0).all()
        tested.update(cases.loc[cases["split"] == "test", "case_id"])
    assert tested == Counter(data.cases["case_id"])


def test_fewer_training_cases_are_balanced_nested_and_leave_the_rest_alone(data):
    taken = {}
    for most in (6, 15, 30):
        cases = with_train_cases(data, most, seed=2).cases
        train = cases[cases["split"] == "train"]
        assert most - 3 <= len(train) <= most
        counts = train.groupby("label").size()
        assert counts.max() - counts.min() <= 2
        taken[most] = set(train["case_id"])
        others = cases[cases["split"] != "train"]["case_id"].tolist()
        assert others == data.cases[data.cases["split"] != "train"]["case_id"].tolist()
    assert taken[6] < taken[15] < taken[30]
    assert set(with_train_cases(data, 6, seed=3).cases["case_id"]) != set(
        with_train_cases(data, 6, seed=2).cases["case_id"]
    )


def test_the_tables_of_fewer_cases_fit_together(data):
    fewer = with_train_cases(data, 6, seed=0)
    assert set(fewer.fixations["case_id"]) <= set(fewer.cases["case_id"])
    assert set(fewer.regions["case_id"]) <= set(fewer.cases["case_id"])
    assert len(PreparedDataset(fewer, "train")) <= 6


@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_guides_the_same_cases_and_leaves_the_test_gaze_alone(data, control):
    made = with_control(data, control, seed=0)
    assert list(made.fixations) == list(data.fixations)
    assert set(made.gaze) == set(data.gaze)
    test = data.cases.loc[data.cases["split"] == "test", "case_id"]
    for case_id in set(test) & set(data.gaze):
        np.testing.assert_array_equal(made.gaze[case_id].x_px, data.gaze[case_id].x_px)
    learned = set(data.gaze) - set(test)
    assert all(
        len(made.gaze[i]) != len(data.gaze[i]) or (made.gaze[i].x_px != data.gaze[i].x_px).any() for i in learned
    )
    same = with_control(data, control, seed=0)
    pd.testing.assert_frame_equal(same.fixations, made.fixations)


def test_shuffled_gaze_is_that_of_another_case_of_the_split(data):
    made = with_control(data, "shuffled-gaze", seed=5)
    split = data.cases.set_index("case_id")["split"]
    before = {tuple(gaze.x_px): case_id for case_id, gaze in data.gaze.items()}
    for case_id in set(data.gaze) - set(split.index[split == "test"]):
        owner = before[tuple(made.gaze[case_id].x_px)]
        assert owner != case_id
        assert split[owner] == split[case_id]


def map_of(data: PreparedData, case_id: str) -> np.ndarray:
    frame = (data.frame.height_px, data.frame.width_px)
    return attention_map(data.gaze[case_id], (16, 16), frame, kind="density")


def test_the_lung_mask_is_drawn_on_the_lungs(data):
    made = with_control(data, "lung-mask", seed=0)
    for case_id in data.cases.loc[(data.cases["split"] == "train") & data.cases["has_gaze"], "case_id"][:5]:
        masks = data.read_masks(case_id)
        lungs = masks["left_lung"] | masks["right_lung"]
        on_grid = lungs.reshape(16, 4, 16, 4).mean(axis=(1, 3))
        drawn = map_of(made, case_id)
        assert drawn[on_grid == 1].mean() > 4 * drawn[on_grid == 0].mean()


def test_the_centre_is_the_same_blob_for_every_case(data):
    made = with_control(data, "centre", seed=0)
    ids = data.cases.loc[(data.cases["split"] == "train") & data.cases["has_gaze"], "case_id"].tolist()
    first, second = map_of(made, ids[0]), map_of(made, ids[1])
    np.testing.assert_allclose(first, second, atol=1e-12)
    np.testing.assert_allclose(first, first[::-1, ::-1], atol=1e-6)
    assert first[7:9, 7:9].min() > 3 * first[0, 0]


def test_random_maps_keep_number_and_time_of_the_fixations(data):
    made = with_control(data, "random-map", seed=0)
    assert all(sorted(made.gaze[i].duration_s) == sorted(data.gaze[i].duration_s) for i in data.gaze)


def test_what_cannot_be_arranged_is_refused(data):
    for values, message in (
        ({"folds": 2}, "too few folds"),
        ({"folds": 5, "fold": 5}, "no such fold"),
        ({"fold": 1}, "no such fold"),
        ({"train_cases": 0}, "no training cases"),
        ({"view_seed": -1}, "0 or more"),
    ):
        with pytest.raises(ConfigError, match=message):
            ViewConfig(**values)
    with pytest.raises(ConfigError, match="50 folds cannot be made"):
        apply_view(data, ViewConfig(folds=50))
    lone = data.cases["case_id"].isin(
        data.cases.loc[data.cases["has_gaze"] & (data.cases["split"] == "train"), "case_id"][:1]
    )
    alone = replace(data, cases=data.cases[lone])
    with pytest.raises(ConfigError, match=r"cannot be shuffled(?s:.*)a single case"):
        with_control(alone, "shuffled-gaze", seed=0)


def test_a_lung_mask_that_is_not_there_is_named(data, tmp_path):
    bare = replace(data, root=tmp_path)
    with pytest.raises(ConfigError, match="needs a mask of the lungs"):
        with_control(bare, "lung-mask", seed=0)


def test_cases_of_several_labels_are_dealt_out_to_folds_too(several):
    tested: Counter[str] = Counter()
    for fold in range(4):
        made = with_folds(several, 4, fold, seed=1)
        held_out = (made.cases["split"] == "test").to_numpy()
        assert (made.cases.groupby("patient_id")["split"].nunique() == 1).all()
        shares = (made.label_matrix[held_out] == 1).sum(axis=0) / (made.label_matrix == 1).sum(axis=0)
        assert (abs(shares - 0.25) < 0.15).all()
        tested.update(made.cases.loc[held_out, "case_id"])
    assert tested == Counter(several.cases["case_id"])


def test_a_label_that_few_have_does_not_keep_the_others_from_being_dealt_out(several):
    rare = several.cases["label_low"].where(np.arange(len(several)) < 3, 0)
    made = with_folds(replace(several, cases=several.cases.assign(label_low=rare)), 4, 0, seed=0)
    assert set(made.cases["split"]) == {"train", "valid", "test"}


def test_fewer_cases_of_several_labels_keep_every_label(several):
    taken = {}
    for most in (8, 20):
        made = with_train_cases(several, most, seed=0)
        train = (made.cases["split"] == "train").to_numpy()
        assert most - 2 <= train.sum() <= most
        assert (made.label_matrix[train] == 1).any(axis=0).all()
        taken[most] = set(made.cases.loc[train, "case_id"])
    assert taken[8] < taken[20]


@pytest.mark.parametrize("control", ["centre", "random-map"])
def test_a_control_names_the_labels_that_the_gaze_named(several, control):
    def named(data: PreparedData) -> set[tuple[str, str]]:
        learned = data.cases.loc[data.cases["split"] != "test", "case_id"]
        table = data.fixations[data.fixations["case_id"].isin(learned)]
        return set(zip(table["case_id"], table["label"].fillna(""), strict=True))

    made = with_control(several, control, seed=0)
    assert named(made) == named(several)
    assert {name for _, name in named(made)} == {"left", "right", "low", ""}
    if control == "centre":
        case_id = next(case_id for case_id, name in sorted(named(made)) if name == "left")
        gaze = made.gaze[case_id]
        own, whole = gaze.select(gaze.label == "left"), gaze
        maps = [attention_map(each, (8, 8), (64, 64), kind="density") for each in (own, whole)]
        np.testing.assert_allclose(*maps, atol=1e-6)
