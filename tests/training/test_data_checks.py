"""What is refused or warned about before training: missing classes, undefined metrics, too little attention."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.errors import ConfigError
from ggcam.guidance import Guidance, create_guidance
from ggcam.training.config import TrainConfig
from ggcam.training.data_checks import check_training_data, usable_attention, with_defined_monitor
from multilabel_fixture import prepare_multilabel, write_multilabel

CONFIG = TrainConfig()


@pytest.fixture(scope="module")
def data(prepared: Path) -> PreparedData:
    return load_prepared(prepared)


@pytest.fixture(scope="module")
def multilabel(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return prepare_multilabel(write_multilabel(tmp_path_factory.mktemp("multilabel") / "raw"))


def check(data: PreparedData, config: TrainConfig = CONFIG) -> list[str]:
    return check_training_data(data, config, create_guidance(config.guidance))


def without(data: PreparedData, split: str, *classes: str) -> PreparedData:
    """Leave out the cases of some classes in a split."""
    index = [data.class_names.index(name) for name in classes]
    dropped = (data.cases["split"] == split) & data.cases["label"].isin(index)
    return replace(data, cases=data.cases.loc[~dropped].reset_index(drop=True))


def attended(data: PreparedData, count: int) -> PreparedData:
    """Leave gaze to the first training cases only."""
    train = data.cases["split"] == "train"
    return replace(data, cases=data.cases.assign(has_gaze=train & (train.cumsum() <= count)))


def test_data_with_all_classes_and_gaze_pass_without_a_word(data):
    assert check(data) == []
    assert with_defined_monitor(CONFIG, data) == CONFIG


def test_a_class_without_a_validation_case_is_warned_about(data):
    (warning,) = check(without(data, "valid", "CHF"))
    assert "no validation case is of class CHF" in warning
    assert "highest macro AUROC over the other classes" in warning
    assert with_defined_monitor(CONFIG, without(data, "valid", "CHF")) == CONFIG


def test_with_one_validation_class_the_loss_decides(data):
    one = without(data, "valid", "CHF", "pneumonia")
    (warning,) = check(one)
    assert "no validation case is of class CHF, pneumonia" in warning
    assert "lowest validation loss" in warning
    assert with_defined_monitor(CONFIG, one) == replace(CONFIG, monitor="loss")
    for monitor in ("loss", "total"):
        chosen = replace(CONFIG, monitor=monitor)
        assert check(one, chosen) == []
        assert with_defined_monitor(chosen, one) == chosen


def test_a_class_without_a_training_case_is_refused(data):
    with pytest.raises(ConfigError, match="no training case is of class pneumonia"):
        check(without(data, "train", "pneumonia"))


@pytest.mark.parametrize("split", ["train", "valid"])
def test_an_empty_split_is_refused(data, split):
    with pytest.raises(ConfigError, match=f"there are no {split} cases"):
        check(replace(data, cases=data.cases.loc[data.cases["split"] != split]))


def test_a_label_that_no_training_case_has_is_warned_about(multilabel):
    cases = multilabel.cases.copy()
    cases.loc[(cases["split"] == "train") & (cases["label_low"] == 1), "label_low"] = 0
    (warning,) = check(replace(multilabel, cases=cases))
    assert warning == "no training case has low, so this cannot be learnt"


def test_labels_without_both_values_in_validation_have_no_auroc(multilabel):
    valid = multilabel.cases["split"] == "valid"
    one = replace(multilabel, cases=multilabel.cases.assign(label_left=multilabel.cases["label_left"].mask(valid, 1)))
    (warning,) = check(one)
    assert "the validation cases do not have both values of left" in warning
    labels = {f"label_{name}": multilabel.cases[f"label_{name}"].mask(valid, 0) for name in multilabel.class_names}
    none = replace(multilabel, cases=multilabel.cases.assign(**labels))
    assert "lowest validation loss" in check(none)[0]
    assert with_defined_monitor(CONFIG, none).monitor == "loss"


def test_a_split_without_a_known_label_is_refused(multilabel):
    labels = {f"label_{name}": np.nan for name in multilabel.class_names}
    with pytest.raises(ConfigError, match="no train case has a known label"):
        check(replace(multilabel, cases=multilabel.cases.assign(**labels)))


def test_a_guidance_without_attention_is_refused_and_one_with_little_warned_about(data):
    assert check(attended(data, 3)) == []  # 3 of 42 are 7 %
    (warning,) = check(attended(data, 2))
    assert warning == "only 2 of 42 training cases have attention, so guidance ggcam-cc changes little"
    with pytest.raises(ConfigError, match=r"(?s)no training case has attention that guidance ggcam.*--guidance none"):
        check(attended(data, 0), replace(CONFIG, guidance="ggcam"))
    assert check(attended(data, 0), replace(CONFIG, guidance="none")) == []


@pytest.mark.parametrize("guidance", ["gaze-crop", "eg-vit", "unet"])
def test_a_method_without_a_loss_on_the_cam_needs_attention_too(data, guidance):
    with pytest.raises(ConfigError, match=f"no training case has attention that guidance {guidance} can use"):
        check(attended(data, 0), replace(CONFIG, guidance=guidance))


class Sparse(Guidance):
    """A penalty on the CAM alone."""

    def forward(self, output, labels, attention, classification, present=None):
        return super().forward(output, labels, attention, classification + output.cam.abs().mean(), present)


def test_a_guidance_that_compares_nothing_with_attention_needs_none(data):
    config = replace(CONFIG, guidance="my_module:Sparse")
    assert check_training_data(attended(data, 0), config, Sparse()) == []


def test_gaze_that_names_another_label_is_not_usable(multilabel):
    own = replace(CONFIG, label_gaze="own")
    assert 0 < usable_attention(multilabel, own).sum() < usable_attention(multilabel, CONFIG).sum()
    unnamed = replace(multilabel, fixations=multilabel.fixations.assign(label=None))
    assert not usable_attention(unnamed, own).any()
    with pytest.raises(ConfigError, match=r"(?s)0 of 20 training cases.*--label-gaze own-else-all"):
        check(unnamed, own)
    assert check(unnamed, replace(own, guidance="unet")) == check(multilabel)  # which takes all gaze of a case
    assert (usable_attention(unnamed, CONFIG) == usable_attention(multilabel, CONFIG)).all()


def test_usable_attention_is_what_the_guidance_draws(multilabel):
    """A slow check: a case is usable if one of its labels has a fixation that belongs to it."""
    for label_gaze in ("own", "all", "own-else-all"):
        config = replace(CONFIG, label_gaze=label_gaze)
        for row, usable in zip(multilabel.cases.itertuples(), usable_attention(multilabel, config), strict=True):
            gaze = multilabel.fixations.loc[multilabel.fixations["case_id"] == row.case_id]
            present = [name for name in multilabel.class_names if getattr(row, f"label_{name}") == 1]
            named = gaze["label"].isin(present).any()
            assert usable == (named if label_gaze == "own" else bool(present) and len(gaze) > 0)


def test_regions_of_another_class_do_not_guide(multilabel):
    case_id = multilabel.cases["case_id"].iloc[0]
    cases = multilabel.cases.assign(has_gaze=False, label_left=1, label_right=0, label_low=0)
    region = {"case_id": case_id, "kind": "box", "x0_px": 1.0, "y0_px": 1.0, "x1_px": 9.0, "y1_px": 9.0}

    def usable(name: str) -> int:
        regions = pd.DataFrame([region | {"name": name}], columns=multilabel.regions.columns)
        viewed = replace(multilabel, cases=cases, regions=regions, attention="regions")
        return int(usable_attention(viewed, CONFIG).sum())

    assert [usable(name) for name in ("left", "right", "nodule")] == [1, 0, 1]
