"""Smoothed CAMs with a learned uncertainty, and the sum of four distances, against scipy and loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from ggcam.guidance import create_guidance
from ggcam.guidance.consistency import AttentionConsistencyGuidance
from guidance.examples import GRID, arrays, evidence, output_and_gaze, peak, random_maps

BINOMIAL = np.outer([1, 2, 1], [1, 2, 1]) / 16


def test_the_smoothed_evidence_is_compared():
    output, labels, density = random_maps()
    expected = []
    for cam, gaze in arrays(output, labels, density):
        smoothed = evidence(ndimage.convolve(np.maximum(cam, 0), BINOMIAL, mode="nearest"))
        expected.append(np.mean((smoothed - peak(gaze)) ** 2) / (2 * 0.3**2) + math.log(0.3))
    found = create_guidance("attention-consistency", options={"sigma": 0.3}).dissimilarity(output, labels, density)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-5)


def test_the_uncertainty_is_learned_from_cases_with_attention_alone():
    """At its best it is the root mean squared error of these; without any, nothing pulls at it."""
    output, labels, gaze = output_and_gaze(cases=2)
    guidance = create_guidance("attention-consistency")
    assert isinstance(guidance, AttentionConsistencyGuidance)
    silent = gaze._replace(weight=gaze.weight * torch.tensor([[1.0], [0.0]]))
    found = guidance.dissimilarity(output, labels, silent.density(GRID))[0]
    sigma = 0.5
    error = (found.item() - math.log(sigma)) * 2 * sigma**2
    best = create_guidance("attention-consistency", options={"sigma": math.sqrt(error)})
    assert isinstance(best, AttentionConsistencyGuidance)
    best(output, labels, silent, torch.tensor(0.0)).total.backward()
    assert best.log_sigma.grad is not None
    assert best.log_sigma.grad.item() == pytest.approx(0, abs=1e-5)
    output = output._replace(cam=output.cam.detach())
    guidance(output, labels, gaze._replace(weight=torch.zeros(2, 10)), torch.tensor(0.0)).total.backward()
    assert guidance.log_sigma.grad is not None
    assert guidance.log_sigma.grad == 0


def test_the_composite_loss_is_the_sum_of_its_four_terms():
    output, labels, density = random_maps()
    expected = []
    for cam, gaze in arrays(output, labels, density)[:-1]:
        a = evidence(cam)
        error = np.mean((a - peak(gaze)) ** 2)
        divergence = stats.entropy(gaze.ravel(), np.exp(cam.ravel()) / np.exp(cam).sum())
        correlation = stats.pearsonr(cam.ravel(), gaze.ravel()).statistic
        centres = [(np.array(ndimage.center_of_mass(each)) + 0.5) / GRID for each in (a, gaze)]
        distance = np.linalg.norm(centres[0] - centres[1]) / math.sqrt(2)
        expected.append(error + divergence + 1 - correlation + distance)
    found = create_guidance("composite").dissimilarity(output, labels, density)[:-1]
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("ramp", "progress", "factor"),
    [(0.3, 0.0, 0.0), (0.3, 0.15, 0.5), (0.3, 0.3, 1.0), (0.3, 0.9, 1.0), (0.0, 0.0, 1.0)],
)
def test_the_weight_of_the_composite_loss_rises(ramp, progress, factor):
    guidance = create_guidance("composite", weight=0.8, options={"ramp": ramp})
    guidance.progress = progress
    assert guidance.combine(torch.tensor(1.0), torch.tensor(0.5)).item() == pytest.approx(1 + 0.8 * factor * 0.5)
