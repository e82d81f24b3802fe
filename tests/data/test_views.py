"""Views of prepared data: folds, fewer training cases, and controls in place of gaze."""

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
def multi_label(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """Return cases with multi_label labels; some of their fixations have a label."""
    return prepare_multilabel(write_multilabel(tmp_path_factory.mktemp("multi_label") / "raw", cases=80))


def test_the_default_view_is_the_data_itself(data):
    assert apply_view(data, ViewConfig()) is data


def test_folds_test_every_case_once_and_keep_patients_together(data):
    tested: Counter[str] = Counter()
    for fold in range(4):
        cases = with_folds(data, 4, fold, seed=1).cases
        assert set(cases["split"]) == {"train", "valid", "test"}
        assert (cases.groupby("patient_id")["split"].nunique() == 1).all()
        assert (cases[cases["split"] == "test"].groupby("label").size() > 0).all()
        tested.update(cases.loc[cases["split"] == "test", "case_id"])
    assert tested == Counter(data.cases["case_id"])


def test_fewer_training_cases_are_balanced_and_nested_and_other_splits_unchanged(data):
    chosen = {}
    for max_cases in (6, 15, 30):
        cases = with_train_cases(data, max_cases, seed=2).cases
        train = cases[cases["split"] == "train"]
        assert max_cases - 3 <= len(train) <= max_cases
        counts = train.groupby("label").size()
        assert counts.max() - counts.min() <= 2
        chosen[max_cases] = set(train["case_id"])
        others = cases[cases["split"] != "train"]["case_id"].tolist()
        assert others == data.cases[data.cases["split"] != "train"]["case_id"].tolist()
    assert chosen[6] < chosen[15] < chosen[30]
    assert set(with_train_cases(data, 6, seed=3).cases["case_id"]) != set(
        with_train_cases(data, 6, seed=2).cases["case_id"]
    )


def test_tables_of_fewer_cases_are_consistent(data):
    fewer = with_train_cases(data, 6, seed=0)
    assert set(fewer.fixations["case_id"]) <= set(fewer.cases["case_id"])
    assert set(fewer.regions["case_id"]) <= set(fewer.cases["case_id"])
    assert len(PreparedDataset(fewer, "train")) <= 6


@pytest.mark.parametrize("control", CONTROLS)
def test_controls_guide_the_same_cases_and_keep_the_gaze_of_the_test_split(data, control):
    view = with_control(data, control, seed=0)
    assert list(view.fixations) == list(data.fixations)
    assert set(view.gaze) == set(data.gaze)
    test = data.cases.loc[data.cases["split"] == "test", "case_id"]
    for case_id in set(test) & set(data.gaze):
        np.testing.assert_array_equal(view.gaze[case_id].x_px, data.gaze[case_id].x_px)
    for case_id in set(data.gaze) - set(test):
        replaced, gaze = view.gaze[case_id], data.gaze[case_id]
        assert len(replaced) != len(gaze) or (replaced.x_px != gaze.x_px).any()
    again = with_control(data, control, seed=0)
    pd.testing.assert_frame_equal(again.fixations, view.fixations)


def test_shuffled_gaze_comes_from_another_case_of_the_split(data):
    view = with_control(data, "shuffled-gaze", seed=5)
    split = data.cases.set_index("case_id")["split"]
    owners = {tuple(gaze.x_px): case_id for case_id, gaze in data.gaze.items()}
    for case_id in set(data.gaze) - set(split.index[split == "test"]):
        owner = owners[tuple(view.gaze[case_id].x_px)]
        assert owner != case_id
        assert split[owner] == split[case_id]


def map_of(data: PreparedData, case_id: str) -> np.ndarray:
    frame = (data.frame.height_px, data.frame.width_px)
    return attention_map(data.gaze[case_id], (16, 16), frame, kind="density")


def test_lung_mask_control_covers_the_lungs(data):
    view = with_control(data, "lung-mask", seed=0)
    for case_id in data.cases.loc[(data.cases["split"] == "train") & data.cases["has_gaze"], "case_id"][:5]:
        masks = data.read_masks(case_id)
        lungs = masks["left_lung"] | masks["right_lung"]
        on_grid = lungs.reshape(16, 4, 16, 4).mean(axis=(1, 3))
        drawn = map_of(view, case_id)
        assert drawn[on_grid == 1].mean() > 4 * drawn[on_grid == 0].mean()


def test_centre_control_is_the_same_symmetric_blob_for_every_case(data):
    view = with_control(data, "centre", seed=0)
    ids = data.cases.loc[(data.cases["split"] == "train") & data.cases["has_gaze"], "case_id"].tolist()
    first, second = map_of(view, ids[0]), map_of(view, ids[1])
    np.testing.assert_allclose(first, second, atol=1e-12)
    np.testing.assert_allclose(first, first[::-1, ::-1], atol=1e-6)
    assert first[7:9, 7:9].min() > 3 * first[0, 0]


def test_random_map_control_keeps_number_and_durations_of_fixations(data):
    view = with_control(data, "random-map", seed=0)
    for case_id, gaze in data.gaze.items():
        assert sorted(view.gaze[case_id].duration_s) == sorted(gaze.duration_s)


def test_invalid_views_are_refused(data):
    for values, message in (
        ({"folds": 2}, "too few folds"),
        ({"folds": 5, "fold": 5}, "no such fold"),
        ({"fold": 1}, "no such fold"),
        ({"train_cases": 0}, "too few training cases"),
        ({"view_seed": -1}, "0 or more"),
    ):
        with pytest.raises(ConfigError, match=message):
            ViewConfig(**values)
    with pytest.raises(ConfigError, match="cannot be divided into 50 folds"):
        apply_view(data, ViewConfig(folds=50))
    is_first = data.cases["case_id"].isin(
        data.cases.loc[data.cases["has_gaze"] & (data.cases["split"] == "train"), "case_id"][:1]
    )
    single = replace(data, cases=data.cases[is_first])
    with pytest.raises(ConfigError, match=r"cannot be shuffled(?s:.*)a single case"):
        with_control(single, "shuffled-gaze", seed=0)


def test_a_missing_lung_mask_is_refused(data, tmp_path):
    without_masks = replace(data, root=tmp_path, cases=data.cases.assign(masks=None))
    with pytest.raises(ConfigError, match="needs lung masks"):
        with_control(without_masks, "lung-mask", seed=0)


def test_folds_of_multi_label_data_are_stratified(multi_label):
    tested: Counter[str] = Counter()
    for fold in range(4):
        view = with_folds(multi_label, 4, fold, seed=1)
        held_out = (view.cases["split"] == "test").to_numpy()
        assert (view.cases.groupby("patient_id")["split"].nunique() == 1).all()
        shares = (view.label_matrix[held_out] == 1).sum(axis=0) / (view.label_matrix == 1).sum(axis=0)
        assert (abs(shares - 0.25) < 0.15).all()
        tested.update(view.cases.loc[held_out, "case_id"])
    assert tested == Counter(multi_label.cases["case_id"])


def test_a_rare_label_does_not_prevent_folds(multi_label):
    rare = multi_label.cases["label_low"].where(np.arange(len(multi_label)) < 3, 0)
    view = with_folds(replace(multi_label, cases=multi_label.cases.assign(label_low=rare)), 4, 0, seed=0)
    assert set(view.cases["split"]) == {"train", "valid", "test"}


def test_fewer_multi_label_cases_keep_every_label(multi_label):
    chosen = {}
    for max_cases in (8, 20):
        view = with_train_cases(multi_label, max_cases, seed=0)
        train = (view.cases["split"] == "train").to_numpy()
        assert max_cases - 2 <= train.sum() <= max_cases
        assert (view.label_matrix[train] == 1).any(axis=0).all()
        chosen[max_cases] = set(view.cases.loc[train, "case_id"])
    assert chosen[8] < chosen[20]


@pytest.mark.parametrize("control", ["centre", "random-map"])
def test_controls_keep_the_labels_of_the_gaze(multi_label, control):
    def labels_of_gaze(data: PreparedData) -> set[tuple[str, str]]:
        learned = data.cases.loc[data.cases["split"] != "test", "case_id"]
        table = data.fixations[data.fixations["case_id"].isin(learned)]
        return set(zip(table["case_id"], table["label"].fillna(""), strict=True))

    view = with_control(multi_label, control, seed=0)
    assert labels_of_gaze(view) == labels_of_gaze(multi_label)
    assert {name for _, name in labels_of_gaze(view)} == {"left", "right", "low", ""}
    if control == "centre":
        case_id = next(case_id for case_id, name in sorted(labels_of_gaze(view)) if name == "left")
        gaze = view.gaze[case_id]
        own, whole = gaze.select(gaze.label == "left"), gaze
        maps = [attention_map(part, (8, 8), (64, 64), kind="density") for part in (own, whole)]
        np.testing.assert_allclose(*maps, atol=1e-6)
