"""The decoders: what they predict, what they are trained with, and what they leave alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from ggcam.guidance import create_guidance
from ggcam.guidance.decoder import DecoderGuidance, MapDecoder
from guidance.examples import GRID, batch, network_for, peak, random_maps

NAMES = ("unet", "mt-unet", "mentor")


def made(name: str, **options: float) -> DecoderGuidance:
    guidance = create_guidance(name, options=options)
    assert isinstance(guidance, DecoderGuidance)
    torch.manual_seed(0)
    guidance.initialize(network_for(guidance))
    return guidance.eval()


def slow_unet(logits: np.ndarray, density: np.ndarray) -> float:
    total = 0.0
    for z, g in zip(logits.flat, peak(density).flat, strict=True):
        p = 1 / (1 + math.exp(-z))
        total -= g * math.log(p) + (1 - g) * math.log(1 - p)
    return total / logits.size


def slow_mt_unet(logits: np.ndarray, density: np.ndarray) -> float:
    return float(stats.entropy(density.ravel(), np.exp(logits.ravel()) / np.exp(logits).sum()))


def slow_mentor(logits: np.ndarray, density: np.ndarray) -> float:
    return float(np.mean((1 / (1 + np.exp(-logits)) - peak(density)) ** 2))


@pytest.mark.parametrize(("name", "slow"), [("unet", slow_unet), ("mt-unet", slow_mt_unet), ("mentor", slow_mentor)])
def test_each_loss_equals_a_loop_over_the_cells(name, slow):
    output, labels, density = random_maps()
    guidance = made(name)
    with torch.random.fork_rng(), torch.no_grad():
        logits, found = guidance.decode(output), guidance.dissimilarity(output, labels, density)
    expected = [slow(*each) for each in zip(logits.double().numpy(), density.double().numpy(), strict=True)]
    np.testing.assert_allclose(found[:-1].numpy(), expected[:-1], rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_features_and_the_decoder_are_trained_but_not_the_cam(name):
    with torch.random.fork_rng():
        guidance = made(name)
    model, data = network_for(guidance), batch()
    output = model(data.image)
    density = torch.rand(4, *GRID)
    guidance.dissimilarity(output, data.label, density / density.sum(dim=(1, 2), keepdim=True)).sum().backward()
    assert all(parameter.grad is None for parameter in model.head.parameters())
    for parameter in (*model.backbone.parameters(), *guidance.decoder.parameters()):
        assert parameter.grad is not None
        assert (parameter.grad != 0).any()


def test_the_map_has_the_grid_of_the_features():
    assert MapDecoder(5, width=3)(torch.zeros(2, 5, 4, 7)).shape == (2, 1, 4, 7)


def test_the_losses_of_the_unet_are_blended():
    with torch.random.fork_rng():
        guidance = made("unet", balance=0.25)
    assert guidance.combine(torch.tensor(1.0), torch.tensor(0.4)).item() == pytest.approx(0.25 + 0.75 * 0.4)


def test_the_weights_of_the_mt_unet_start_at_1():
    with torch.random.fork_rng():
        guidance = made("mt-unet")
    total = guidance.combine(torch.tensor(1.0), torch.tensor(0.4)).item()
    assert total == pytest.approx(1 + math.log(2) + 0.4 / 2 + math.log(2))


@pytest.mark.parametrize(("progress", "expected"), [(0.0, 0.4), (0.24, 0.4), (0.25, 1.0), (1.0, 1.0)])
def test_mentor_learns_the_map_first_and_the_classes_then(progress, expected):
    with torch.random.fork_rng():
        guidance = made("mentor", pretraining=0.25)
    guidance.progress = progress
    assert guidance.combine(torch.tensor(1.0), torch.tensor(0.4)).item() == pytest.approx(expected)
