"""The training config: from TOML and back, and what it refuses."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

import pytest

from ggcam.data.augment_config import AugmentConfig
from ggcam.data.view_config import ViewConfig
from ggcam.errors import ConfigError, MissingFileError
from ggcam.training.config import TrainConfig, config_from_dict, read_train_config
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
    assert read_train_config(path) == (Path("DATA"), config)


def test_what_a_file_leaves_out_has_its_default(tmp_path):
    assert read_train_config(written(tmp_path, "[train]\nepochs = 3\n")) == (None, TrainConfig(epochs=3))


def test_a_whole_number_will_do_for_a_float(tmp_path):
    assert config_from_dict({"lr": 1, "augment": {"rotate_deg": 5}}).lr == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('epochs = "ten"', "epochs cannot be 'ten'.*expected: a whole number"),
        ("epochs = 2.5", "epochs cannot be 2.5"),
        ("epochs = true", "epochs cannot be True"),
        ("epochs = 0", "epochs cannot be 0.*--epochs.*above 0"),
        ("epochs = [1, 2]", r"epochs cannot be \[1, 2\]"),
        ('lr = "fast"', "lr cannot be 'fast'.*expected: a number"),
        ("lr = -1.0", "lr cannot be -1.0"),
        ("lr = nan", "lr cannot be nan"),
        ("lr = inf", "lr cannot be inf"),
        ("seed = -1", "seed cannot be -1"),
        ("seed = 99999999999999", "seed is too large"),
        ("pretrained = 1", "pretrained cannot be 1.*true or false"),
        ("precision = 32", "precision cannot be 32.*one of 'auto', 'bf16', '32'"),
        ('optimizer = "sgd"', "optimizer cannot be 'sgd'.*'adamw', 'adam'"),
        ("devices = 2", "devices cannot be 2.*text in quotes"),
        ("weights = 5", "weights cannot be 5.*a path"),
        ("epoch = 3", "unknown key epoch.*backbone.*epochs"),
        ("augment = 3", "augment is a table"),
        ("view = 3", r"view is a table.*\[train.view\]"),
        ("view.flods = 3", "unknown key view.flods.*folds"),
        ("view.folds = 2.5", "view.folds cannot be 2.5"),
        ("view.folds = 2", "too few folds"),
        ('view.control = "center"', "view.control cannot be 'center'.*'shuffled-gaze'"),
        ("augment.rotate = 3", "unknown key augment.rotate.*rotate_deg"),
        ('augment.zoom = "x"', "augment.zoom cannot be 'x'"),
        ("augment.zoom = -1", "zoom cannot be -1"),
        ("augment.shift = 1.5", "shift cannot be 1.5.*0 to 1"),
    ],
)
def test_a_wrong_line_is_named_with_what_would_be_right(tmp_path, line, message):
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        read_train_config(written(tmp_path, f"[train]\n{line}\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no table \\[train\\].*got: nothing"),
        ("train = 3", "no table"),
        ("[trian]\nepochs = 3", "no table.*trian"),
        ("epochs = = 3", "cannot be read"),
        ("data = 5\n[train]", "data is the path"),
    ],
)
def test_a_file_that_is_no_training_config_is_refused(tmp_path, text, message):
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        read_train_config(written(tmp_path, text))


def test_bytes_that_are_no_text_and_folders_and_nothing_are_refused(tmp_path):
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe[train]")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_train_config(tmp_path / "bytes.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_train_config(tmp_path)
    with pytest.raises(MissingFileError, match="not there"):
        read_train_config(tmp_path / "none.toml")


def test_the_message_says_which_file(tmp_path):
    path = written(tmp_path, "[train]\nepoch = 3\n")
    with pytest.raises(ConfigError, match=str(path)):
        read_train_config(path)


@pytest.mark.parametrize("name", ["sigma_deg", "sigma_px", "batch_size", "patience", "early_stop_patience", "nodes"])
@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_what_must_be_above_0_is(name, value):
    # An int field holds no NaN; whether it would be let through is asked all the same.
    if isinstance(value, float) and name not in ("sigma_deg", "sigma_px"):
        pytest.skip("a whole number")
    with pytest.raises(ConfigError, match=f"{name} cannot be"):
        TrainConfig(**{name: value})


def test_what_may_be_0_may():
    assert TrainConfig(guidance_weight=0, weight_decay=0, clip_norm=0, seed=0, workers=0).clip_norm == 0


def test_the_monitor_has_a_metric_and_a_direction():
    assert (TrainConfig().monitored, TrainConfig().monitor_mode) == ("valid/macro_auroc", "max")
    loss = TrainConfig(monitor="loss")
    assert (loss.monitored, loss.monitor_mode) == ("valid/classification", "min")
