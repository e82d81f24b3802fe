"""The CAM of the predicted class against the attention, both from 0 to 1."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ggcam.guidance import create_guidance
from guidance.examples import GRID, output_and_gaze, random_maps


def test_the_predicted_classes_cam_is_compared_whatever_the_label():
    output, labels, density = random_maps()
    predicted = output.logits.argmax(dim=1)
    expected = []
    for i in range(len(labels)):
        cam, gaze = output.cam[i, predicted[i]].detach().numpy(), density[i].numpy()
        cam = (cam - cam.min()) / (cam.max() - cam.min())
        gaze = (gaze - gaze.min()) / max(gaze.max() - gaze.min(), 1e-12)
        expected.append(np.mean((cam - gaze) ** 2))
    found = create_guidance("cyborg").dissimilarity(output, (predicted + 1) % 3, density)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-5)


def test_with_several_labels_each_label_that_is_present_is_compared():
    output, _, gaze = output_and_gaze(cases=2)
    guidance = create_guidance("cyborg")
    cam = output.cam.detach().requires_grad_()
    labels = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    guidance(output._replace(cam=cam), labels, gaze, torch.tensor(0.0)).total.backward()
    assert cam.grad is not None
    assert torch.equal(cam.grad.abs().sum(dim=(2, 3)) > 0, labels == 1)


@pytest.mark.parametrize(("weight", "balance"), [(1.0, 0.5), (2.0, 0.3)])
def test_the_losses_are_blended(weight, balance):
    guidance = create_guidance("cyborg", weight, {"balance": balance})
    total = guidance.combine(torch.tensor(0.7), torch.tensor(0.2))
    assert total.item() == pytest.approx(balance * 0.7 + (1 - balance) * weight * 0.2)


def test_a_constant_gaze_map_counts_as_0():
    output, labels, _ = output_and_gaze(cases=1)
    even = torch.full((1, *GRID), 1 / 48)
    zero = torch.zeros(1, *GRID)
    guidance = create_guidance("cyborg")
    assert torch.equal(guidance.dissimilarity(output, labels, even), guidance.dissimilarity(output, labels, zero))
