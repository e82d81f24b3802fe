"""How maps are scaled, blurred and cut off, against loops and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from ggcam.guidance.cam_maps import attended, cell_centres, centre_of_mass, min_max_scaled, peak_scaled, smooth
from guidance.examples import GRID, evidence

MAPS = torch.randn(5, *GRID, generator=torch.Generator().manual_seed(0))


def test_evidence_is_what_is_above_0_relative_to_its_maximum():
    expected = np.stack([evidence(each) for each in MAPS.numpy()])
    np.testing.assert_allclose(peak_scaled(MAPS).numpy(), expected, rtol=1e-6)


def test_a_map_without_evidence_is_0_with_a_finite_gradient():
    maps = (-MAPS.abs()).requires_grad_()
    scaled = peak_scaled(maps)
    scaled.sum().backward()
    assert (scaled == 0).all()
    assert maps.grad is not None
    assert maps.grad.isfinite().all()


def test_maps_are_scaled_from_their_minimum_and_maximum():
    expected = np.stack([(each - each.min()) / (each.max() - each.min()) for each in MAPS.numpy()])
    np.testing.assert_allclose(min_max_scaled(MAPS).numpy(), expected, rtol=1e-6, atol=1e-7)
    assert (min_max_scaled(torch.ones(2, *GRID)) == 0).all()


@pytest.mark.parametrize("threshold", [0.0, 0.15, 1.0])
def test_a_cell_is_attended_from_a_fraction_of_the_maximum_on(threshold):
    density = MAPS.clamp_min(0)
    density[1] = 0
    found = attended(density, threshold)
    for case, each in enumerate(density.tolist()):
        largest = max(max(row) for row in each)
        for r, row in enumerate(each):
            for c, value in enumerate(row):
                assert found[case, r, c] == (value > 0 and value >= threshold * largest)


def test_the_blur_is_scipys_with_the_binomial_kernel():
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    expected = np.stack([ndimage.convolve(each, kernel, mode="nearest") for each in MAPS.numpy()])
    np.testing.assert_allclose(smooth(MAPS).numpy(), expected, atol=1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        np.testing.assert_allclose(smooth(MAPS).numpy(), expected, atol=1e-6)


def test_the_centre_of_mass_is_scipys():
    density = MAPS.abs() / MAPS.abs().sum(dim=(1, 2), keepdim=True)
    expected = [(np.array(ndimage.center_of_mass(each)) + 0.5) / GRID for each in density.numpy()]
    np.testing.assert_allclose(centre_of_mass(density).numpy(), expected, rtol=1e-5)
    assert (centre_of_mass(torch.zeros(1, *GRID)) == 0).all()


def test_cells_have_their_centres_between_their_borders():
    rows, columns = cell_centres(torch.zeros(1, 2, 4))
    assert rows.tolist() == [0.25, 0.75]
    assert columns.tolist() == [0.125, 0.375, 0.625, 0.875]
