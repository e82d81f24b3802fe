"""The published loss and its other distances, against the formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from ggcam.guidance import cam_gaze_loss, create_guidance
from guidance.examples import GRID, output_and_gaze, random_maps


def test_the_published_loss_equals_its_formula():
    output, labels, gaze = output_and_gaze()
    cross_entropy = nn.functional.cross_entropy(output.logits, labels)
    losses = create_guidance("ggcam")(output, labels, gaze, cross_entropy)
    errors = []
    for i, label in enumerate(labels.tolist()):
        target = gaze.density(GRID)[i] / gaze.density(GRID)[i].max()
        errors.append(((torch.sigmoid(0.3 * output.cam[i, label] - 2.5) - target) ** 2).mean().item())
    guidance, sc, sd = float(np.mean(errors)), 1.0, 0.1
    total = cross_entropy.item() / sc**2 + math.log(1 + sc) + guidance / (2 * sd**2) + math.log(1 + sd)
    assert losses.guidance.item() == pytest.approx(guidance, rel=1e-5)
    assert losses.total.item() == pytest.approx(total, rel=1e-5)


def test_every_learned_parameter_gets_a_gradient():
    output, labels, gaze = output_and_gaze()
    guidance = create_guidance("ggcam")
    guidance(output, labels, gaze, nn.functional.cross_entropy(output.logits, labels)).total.backward()
    assert {name: p.grad is not None and p.grad.item() != 0 for name, p in guidance.named_parameters()} == {
        "log_sigma_classification": True,
        "log_sigma_guidance": True,
        "log_sharpness": True,
        "shift": True,
    }


@pytest.mark.parametrize("alignment", ["mse", "bce", "ssim", "kl", "cc", "nss"])
def test_other_distances_take_the_activation_or_the_scaled_cam(alignment):
    output, labels, density = random_maps()
    found = create_guidance("ggcam", options={"alignment": alignment}).dissimilarity(output, labels, density)
    scaled = 0.3 * output.cam_for_labels(labels) - 2.5
    compared = scaled.sigmoid() if alignment in ("mse", "bce", "ssim") else scaled
    torch.testing.assert_close(found, cam_gaze_loss(compared, density, alignment, reduction="none"))


def test_initial_values_are_options():
    options = {"sigma_classification": 2.0, "sigma_guidance": 0.5, "sharpness": 3.0, "shift": 0.25}
    found = {name: value.item() for name, value in create_guidance("ggcam", options=options).named_parameters()}
    expected = {"log_sigma_classification": 2.0, "log_sigma_guidance": 0.5, "log_sharpness": 3.0}
    assert found == pytest.approx({name: math.log(value) for name, value in expected.items()} | {"shift": 0.25})
