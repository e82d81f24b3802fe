"""A trained network over a batch: what it says, and where it runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ggcam.errors import ConfigError
from ggcam.inference.devices import best_device, find_device
from ggcam.inference.probabilities import BatchPredictor
from ggcam.inference.torch_engine import TorchEngine
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier

CPU = torch.device("cpu")


@pytest.fixture
def model():
    torch.manual_seed(0)
    return CAMClassifier(create_backbone("test_resnet", (64, 64)), 3)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 1, 64, 64), np.uint8)


def test_an_answer_has_logits_their_softmax_and_a_cam_a_class(model, images):
    answer = BatchPredictor(TorchEngine(model, CPU))(images)
    assert answer.logits.shape == answer.probabilities.shape == (5, 3)
    assert answer.cam.shape[:2] == (5, 3)
    assert all(part.dtype == np.float32 for part in answer[:3])
    assert answer.distance is None
    expected = np.exp(answer.logits) / np.exp(answer.logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answer.probabilities, expected, rtol=1e-5)
    bias = model.head.bias.detach().numpy()
    np.testing.assert_allclose(answer.cam.mean(axis=(2, 3)) + bias, answer.logits, rtol=1e-4, atol=1e-5)


def test_an_answer_does_not_depend_on_the_other_images_of_the_batch(model, images):
    predictor = BatchPredictor(
        TorchEngine(model.train(), CPU)
    )  # left in training mode, batch norm would see the others
    together = predictor(images)
    alone = predictor(images[2:3])
    np.testing.assert_allclose(alone.logits[0], together.logits[2], rtol=1e-4, atol=1e-5)


def test_bytes_and_floats_give_the_same_answer(model, images):
    predictor = BatchPredictor(TorchEngine(model, CPU))
    np.testing.assert_allclose(
        predictor(images).logits, predictor(images.astype(np.float32) / 255).logits, rtol=1e-4, atol=1e-5
    )


def test_no_gradient_is_kept(model, images):
    BatchPredictor(TorchEngine(model, CPU))(images)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", ["gpux", "cpu:x", "xpu:99"])
def test_a_device_that_is_not_there_is_named(name):
    with pytest.raises(ConfigError, match=rf"no device '{name}'"):
        find_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has one")
def test_a_missing_gpu_is_a_users_mistake():
    with pytest.raises(ConfigError, match="--device"):
        find_device("cuda")


def test_by_default_the_best_device_is_taken():
    assert find_device().type == best_device()
    assert find_device("cpu") == torch.device("cpu")
