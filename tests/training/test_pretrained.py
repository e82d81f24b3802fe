"""Runs that start from a file of weights: what they record, and that they need the file no more."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from ggcam.data.prepared import load_prepared
from ggcam.errors import ConfigError
from ggcam.inference.onnx_conversion import to_onnx
from ggcam.models.weight_files import read_state_dict
from ggcam.training.config import TrainConfig
from ggcam.training.model_spec import ModelSpec
from ggcam.training.run import Run, open_run
from ggcam.training.train import resume, train

NAME = "test_resnet"
"""A network whose pretrained weights expect other pixels than ImageNet's mean and standard deviation."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "pretrained.pth"
    torch.save({"state_dict": timm.create_model(NAME).state_dict() | {"extra": torch.zeros(1)}}, path)
    return path


@pytest.fixture(scope="module")
def run(prepared: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    config = TrainConfig(backbone=NAME, weights=weights, epochs=1, batch_size=8, accelerator="cpu", calibration=False)
    return train(load_prepared(prepared), config, tmp_path_factory.mktemp("run"), "mine")


def test_the_run_records_the_weights_and_the_native_scaling_of_the_pixels(run: Run):
    recorded = json.loads((run.folder.root / "params_CAMClassifier_.txt").read_text())
    assert (recorded["mean"], recorded["std"]) == ([0.5], [0.5])
    found = recorded["initial_weights"]
    assert found["source"] == "pretrained.pth"
    assert found["loaded"] == found["expected"] > 10
    assert found["unexpected"] == ["extra"]
    assert open_run(run.folder.root).spec == run.spec


def test_from_scratch_the_same_network_has_the_scaling_of_imagenet(prepared: Path):
    spec = ModelSpec.from_config(TrainConfig(backbone=NAME), load_prepared(prepared))
    assert (spec.mean, spec.std) == ((0.449,), (0.226,))


def test_a_moved_run_predicts_the_same_without_the_file(run: Run, weights: Path, tmp_path: Path):
    image = torch.randint(0, 256, (2, 1, 64, 64), dtype=torch.uint8)
    kept = weights.rename(tmp_path / "elsewhere.pth")
    try:
        moved = open_run(shutil.copytree(run.folder.root, tmp_path / "moved"))
        with torch.inference_mode():
            before, after = run.load_model()(image), moved.load_model()(image)
    finally:
        kept.rename(weights)
    assert torch.equal(before.logits, after.logits)
    assert torch.equal(before.cam, after.cam)


def test_onnx_scales_the_pixels_in_the_same_way(run: Run):
    ort = pytest.importorskip("onnxruntime")
    model = run.load_model()
    content = to_onnx(model, (64, 64), {})
    image = torch.randint(0, 256, (2, 1, 64, 64), dtype=torch.uint8)
    logits, _ = ort.InferenceSession(content).run(None, {"image": image.numpy()})
    scaled = (image.float() / 255 - 0.5) / 0.5
    with torch.inference_mode():
        expected = model.head(model.backbone(scaled)).logits
    np.testing.assert_allclose(logits, expected.numpy(), rtol=1e-4, atol=1e-4)


def test_what_did_not_fit_is_said_when_training_starts(prepared, weights, tmp_path, caplog):
    config = TrainConfig(backbone=NAME, weights=weights, epochs=1, batch_size=8, accelerator="cpu", calibration=False)
    with caplog.at_level(logging.INFO):
        train(load_prepared(prepared), config, tmp_path)
    assert any("pretrained.pth" in text and "unexpected: extra" in text for text in caplog.messages)


def test_the_weights_of_another_network_leave_no_run_folder(prepared, weights, tmp_path):
    with pytest.raises(ConfigError, match="does not hold the weights of resnet10t"):
        train(load_prepared(prepared), TrainConfig(backbone="resnet10t", weights=weights), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def stop(row: dict[str, float]) -> None:
    if row["epoch"] == 1:
        raise KeyboardInterrupt


def test_frozen_stages_keep_their_weights_bitwise_in_a_run_that_is_resumed(prepared, weights, tmp_path):
    config = TrainConfig(
        backbone=NAME,
        weights=weights,
        freeze_stages=2,
        backbone_lr_scale=0.1,
        class_weights="balanced",
        label_smoothing=0.1,
        epochs=3,
        batch_size=8,
        accelerator="cpu",
        precision="32",
        calibration=False,
        typicality=False,
    )
    data = load_prepared(prepared)
    whole = read_state_dict(train(data, config, tmp_path, "whole").folder.weights)
    with pytest.raises(KeyboardInterrupt):
        train(data, config, tmp_path, "cut", on_epoch=stop)
    continued = resume(tmp_path / "cut")
    assert continued.config == replace(config, weights=Path(weights.name))
    resumed = read_state_dict(continued.folder.weights)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    initial = read_state_dict(weights)
    kept = {
        name.removeprefix("backbone.trunk.")
        for name, value in whole.items()
        if name.startswith("backbone.trunk.") and torch.equal(value, initial.get(name[15:], torch.empty(0)))
    }
    frozen = {name for name in initial if name.startswith(("bn1.", "layer1.")) and name in kept}
    assert frozen == {name for name in initial if name.startswith(("bn1.", "layer1."))}
    assert not any(name.startswith(("layer3.", "layer4.")) and name.endswith("conv1.weight") for name in kept)


def test_more_frozen_stages_than_the_network_has_leave_no_run_folder(prepared, weights, tmp_path):
    config = TrainConfig(backbone=NAME, weights=weights, freeze_stages=9)
    with pytest.raises(ConfigError, match="feature levels"):
        train(load_prepared(prepared), config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
