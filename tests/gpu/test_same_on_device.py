"""A device computes what the CPU does in plain float32 and the ordinary memory layout."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ggcam.inference.predictor import open_network
from ggcam.inference.torch_engine import full_float32
from ggcam.run_folder import open_run_folder
from gpu.tasks import difference, make_batch, make_module, take_step

SMALL = {
    "test_resnet": (64, 64),
    "test_efficientnet": (64, 64),
    "resnet18": (128, 96),
    "vit_tiny_patch16_224": (64, 64),
}
"""Network -> frame."""

ORIGINALS = {"original-resnet-50": 2e-3, "original-effnet-s": 1e-4}
"""Network -> tolerance of the gradient. On a CPU alone, another memory layout changes that of the ResNet by 5e-4."""

KINDS = {"ggcam": False, "ggcam-cc": True}
"""Guidance -> whether cases may have several labels."""


@pytest.mark.parametrize("guidance", KINDS)
@pytest.mark.parametrize("network", SMALL)
def test_logits_cam_loss_and_gradients_in_float32(device, network, guidance):
    batch = make_batch(SMALL[network], KINDS[guidance])
    expected = take_step(make_module(network, SMALL[network], guidance), batch, "cpu")
    module = make_module(network, SMALL[network], guidance).to(memory_format=torch.channels_last)
    with full_float32():
        found = take_step(module, batch, device)
    for name, one, other in zip(found._fields, found, expected, strict=True):
        assert difference(one, other) < 1e-4, name


@pytest.mark.parametrize("network", ORIGINALS)
def test_the_originals_networks_in_float32(gpu, network):
    frame = (256, 224)
    batch = make_batch(frame, multi_label=False)
    expected = take_step(make_module(network, frame, "ggcam"), batch, "cpu")
    with full_float32():
        module = make_module(network, frame, "ggcam").to(memory_format=torch.channels_last)
        found = take_step(module, batch, gpu)
    for one, other in zip(found[:3], expected[:3], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4 * max(1.0, float(other.abs().max())))
    assert difference(found.gradient, expected.gradient) < ORIGINALS[network]


@pytest.mark.parametrize("network", ["test_resnet", "resnet18", "vit_tiny_patch16_224"])
def test_bfloat16_is_near_float32(device, network):
    """Within 15 % for logits and CAM, 1 % for the loss and 25 % for the gradient, by the norm of each.

    The networks are fresh, and their batch norm enlarges every rounding.
    """
    batch = make_batch(SMALL[network], multi_label=False)
    expected = take_step(make_module(network, SMALL[network], "ggcam"), batch, "cpu")
    found = take_step(make_module(network, SMALL[network], "ggcam"), batch, device, bf16=True)
    for name, tolerance in {"logits": 0.15, "cam": 0.15, "loss": 0.01, "gradient": 0.25}.items():
        assert 0 < difference(getattr(found, name), getattr(expected, name)) < tolerance, name


def test_a_run_folders_predictor_answers_as_on_the_cpu(trained, device):
    """Also where torch may use TensorFloat-32, as it may by default."""
    images = np.random.default_rng(0).integers(0, 256, (5, 1, 64, 64), np.uint8)
    assert open_run_folder(trained).weights.is_file()
    expected = open_network(trained, "torch", "cpu").predict_batch(images)
    found = open_network(trained, "torch", device).predict_batch(images)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4 * max(1.0, float(np.abs(other).max())))


def test_without_tensor_float_32_only_inside_the_block():
    before = torch.backends.cudnn.allow_tf32
    with full_float32():
        conv = getattr(torch.backends.cudnn, "conv", None)
        assert conv.fp32_precision == "ieee" if conv is not None else not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32 == before
