"""The training config: from TOML and back, and invalid values."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

import pytest

from ggcam.data.augment_config import AugmentConfig
from ggcam.data.view_config import ViewConfig
from ggcam.errors import ConfigError, MissingFileError
from ggcam.training.config import TrainConfig, check_user_named, config_from_dict, read_train_config
from ggcam.utils import toml


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return path


def test_a_config_survives_being_written_and_read(tmp_path):
    config = TrainConfig(
        guidance="ggcam",
        sigma_px=3.5,
        weights=Path("a/b.pth"),
        output_stride=16,
        precision="32",
        checkpointing=True,
        compile=True,
        augment=AugmentConfig(rotate_deg=5, zoom=0.1),
        view=ViewConfig("centre", folds=5, fold=2, train_cases=100, view_seed=3),
        workers=2,
    )
    table = asdict(config) | {"weights": "a/b.pth"}
    path = written(tmp_path, toml.dumps({"data": "DATA", "train": table}))
    assert read_train_config(path) == (tmp_path / "DATA", config)


def test_keys_that_a_file_leaves_out_have_their_defaults(tmp_path):
    assert read_train_config(written(tmp_path, "[train]\nepochs = 3\n")) == (None, TrainConfig(epochs=3))


def test_an_integer_is_accepted_for_a_float(tmp_path):
    assert config_from_dict({"lr": 1, "augment": {"rotate_deg": 5}}).lr == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('epochs = "ten"', "invalid value for key epochs.*expected: an integer.*got: 'ten'"),
        ("epochs = 2.5", "invalid value for key epochs.*got: 2.5"),
        ("epochs = true", "invalid value for key epochs.*got: True"),
        ("epochs = 0", "epochs is out of range.*--epochs.*above 0.*got: 0"),
        ("epochs = [1, 2]", r"invalid value for key epochs.*got: \[1, 2\]"),
        ('lr = "fast"', "invalid value for key lr.*expected: a finite number.*'fast'"),
        ("lr = -1.0", "lr is out of range.*got: -1.0"),
        ("lr = nan", "invalid value for key lr.*a finite number.*got: nan"),
        ("lr = inf", "invalid value for key lr.*a finite number.*got: inf"),
        ("seed = -1", "seed is out of range.*0 or more.*got: -1"),
        ("seed = 99999999999999", "seed is out of range.*at most"),
        ("backbone_lr_scale = 0", "backbone_lr_scale is out of range.*above 0"),
        ("label_smoothing = 1", "label_smoothing is out of range.*0 to below 1"),
        ("label_smoothing = -0.1", "label_smoothing is out of range.*0 or more"),
        ("freeze_stages = -1", "freeze_stages is out of range.*0 or more"),
        ("freeze_stages = 2", "freezing needs pretrained weights.*--pretrained or --weights FILE"),
        ('class_weights = "inverse"', "invalid value for key class_weights.*'none', 'balanced'"),
        ("pretrained = 1", "invalid value for key pretrained.*true or false.*got: 1"),
        ("precision = 32", "invalid value for key precision.*one of 'auto', 'bf16', '32'.*got: 32"),
        ('optimizer = "sgd"', "invalid value for key optimizer.*'adamw', 'adam'.*got: 'sgd'"),
        ("devices = 2", "invalid value for key devices.*a string.*got: 2"),
        ("weights = 5", "invalid value for key weights.*a path.*got: 5"),
        ("epoch = 3", "unknown key epoch.*one of.*backbone.*epochs"),
        ("augment = 3", r"invalid value for key augment.*a table \[train.augment\].*got: 3"),
        ("view = 3", r"invalid value for key view.*\[train.view\]"),
        ("view.flods = 3", "unknown key view.flods.*folds"),
        ("view.folds = 2.5", "invalid value for key view.folds.*an integer"),
        ("view.folds = 2", "too few folds"),
        ('view.control = "center"', "invalid value for key view.control.*'shuffled-gaze'.*got: 'center'"),
        ("augment.rotate = 3", "unknown key augment.rotate.*rotate_deg"),
        ('augment.zoom = "x"', "invalid value for key augment.zoom.*a finite number"),
        ("augment.zoom = -1", "zoom.*-1"),
        ("augment.shift = 1.5", "shift.*0 to 1"),
    ],
)
def test_an_invalid_line_is_reported_with_what_was_expected(tmp_path, line, message):
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        read_train_config(written(tmp_path, f"[train]\n{line}\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no table \\[train\\].*got: nothing"),
        ("train = 3", "no table"),
        ("[trian]\nepochs = 3", "no table.*trian"),
        ("epochs = = 3", "cannot be read"),
        ("data = 5\n[train]", "data must be the path"),
    ],
)
def test_a_file_without_a_training_config_is_refused(tmp_path, text, message):
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        read_train_config(written(tmp_path, text))


def test_binary_files_folders_and_missing_files_are_refused(tmp_path):
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe[train]")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_train_config(tmp_path / "bytes.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_train_config(tmp_path)
    with pytest.raises(MissingFileError, match="does not exist"):
        read_train_config(tmp_path / "none.toml")


def test_the_message_says_which_file(tmp_path):
    path = written(tmp_path, "[train]\nepoch = 3\n")
    with pytest.raises(ConfigError, match=str(path)):
        read_train_config(path)


@pytest.mark.parametrize("name", ["sigma_deg", "sigma_px", "batch_size", "patience", "early_stop_patience", "nodes"])
@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_values_that_must_be_above_0(name, value):
    # An integer field cannot hold NaN.
    if isinstance(value, float) and name not in ("sigma_deg", "sigma_px"):
        pytest.skip("an integer")
    with pytest.raises(ConfigError, match=f"{name} is out of range"):
        TrainConfig(**{name: value})


def test_values_that_may_be_0():
    assert TrainConfig(guidance_weight=0, weight_decay=0, clip_norm=0, seed=0, workers=0).clip_norm == 0


def test_the_monitor_has_a_metric_and_a_direction():
    assert (TrainConfig().monitored, TrainConfig().monitor_mode) == ("valid/macro_auroc", "max")
    loss = TrainConfig(monitor="loss")
    assert (loss.monitored, loss.monitor_mode) == ("valid/classification", "min")


def test_keys_of_earlier_versions_get_their_current_names():
    former = {
        "levels": 3,
        "stop_after": 5,
        "lowest_lr": 1e-6,
        "guidance": "released",
        "backbone": "released-resnet-50",
        "arrange": {"control": "centre", "arrange_seed": 7},
    }
    assert config_from_dict(former) == TrainConfig(
        guidance="original",
        backbone="original-resnet-50",
        num_stages=3,
        early_stop_patience=5,
        min_lr=1e-6,
        view=ViewConfig("centre", view_seed=7),
    )


def test_a_guidance_of_ones_own_in_a_file_must_be_named_by_the_user():
    check_user_named("ggcam-cc", None, "FILE")
    check_user_named("my_module:Mine", "my_module:Mine", "FILE")
    for named in (None, "ggcam-cc", "other:Mine"):
        with pytest.raises(ConfigError, match=r"(?s)not imported because a file.*FILE.*--guidance my_module:Mine"):
            check_user_named("my_module:Mine", named, "FILE")
