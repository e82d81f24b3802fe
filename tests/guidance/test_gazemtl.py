"""Statistics of the attention, and the heads that predict them, against loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from ggcam.guidance import create_guidance
from ggcam.guidance.gazemtl import GazeMTLGuidance, diffuseness, located
from guidance.examples import GRID, batch, network_for, random_maps


def test_the_location_is_the_share_of_each_ninth():
    density = torch.rand(2, 9, 6, generator=torch.Generator().manual_seed(0))
    density = density / density.sum(dim=(1, 2), keepdim=True)
    expected = [
        [each[3 * r : 3 * r + 3, 2 * c : 2 * c + 2].sum().item() for r in range(3) for c in range(3)]
        for each in density
    ]
    np.testing.assert_allclose(located(density).numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("grid", [(1, 1), (2, 4), (8, 6), (7, 5)])
def test_the_shares_sum_to_1_on_any_grid(grid):
    density = torch.rand(3, *grid)
    density[2] = 0
    torch.testing.assert_close(located(density).sum(dim=1), torch.tensor([1.0, 1.0, 0.0]))


def test_the_diffusivity_is_the_entropy_relative_to_an_even_map():
    _, _, density = random_maps()
    expected = [stats.entropy(each.ravel()) / math.log(48) for each in density[:-1].double().numpy()]
    np.testing.assert_allclose(diffuseness(density)[:-1].numpy(), expected, rtol=1e-5)
    one_cell = torch.zeros(1, *GRID)
    one_cell[0, 3, 3] = 1
    extremes = diffuseness(torch.cat([one_cell, torch.full((1, *GRID), 1 / 48)]))
    torch.testing.assert_close(extremes, torch.tensor([0.0, 1.0]))


def test_the_loss_equals_its_formula_and_does_not_reach_the_cam():
    guidance = create_guidance("gazemtl", options={"location": 0.3, "diffusivity": 2.0})
    assert isinstance(guidance, GazeMTLGuidance)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        guidance.initialize(network_for(guidance))
    model, data = network_for(guidance), batch()
    output = model(data.image)
    density = torch.rand(4, *GRID, generator=torch.Generator().manual_seed(0))
    density = density / density.sum(dim=(1, 2), keepdim=True)
    found = guidance.dissimilarity(output, data.label, density)
    expected = []
    predicted = guidance.heads(output.features.mean(dim=(2, 3))).detach().double().numpy()
    for z, location, diffusivity in zip(predicted, located(density).numpy(), diffuseness(density).numpy(), strict=True):
        shares = np.exp(z[:9]) / np.exp(z[:9]).sum()
        cross_entropy = -sum(g * math.log(p) for g, p in zip(location, shares, strict=True))
        expected.append(0.3 * cross_entropy + 2.0 * (1 / (1 + math.exp(-z[9])) - diffusivity) ** 2)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-5)
    found.sum().backward()
    assert all(parameter.grad is None for parameter in model.head.parameters())
    for parameter in (*model.backbone.parameters(), *guidance.heads.parameters()):
        assert parameter.grad is not None
        assert (parameter.grad != 0).any()
