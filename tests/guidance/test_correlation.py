"""1 - Pearson correlation of the true class's CAM and the attention."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ggcam.guidance import create_guidance
from guidance.examples import GRID, output_and_gaze


def test_1_minus_r_of_the_true_class_is_added():
    output, labels, gaze = output_and_gaze()
    classification = nn.functional.cross_entropy(output.logits, labels)
    losses = create_guidance("ggcam-cc", weight=0.3)(output, labels, gaze, classification)
    density = gaze.density(GRID)
    r = [np.corrcoef(output.cam[i, labels[i]].detach().flatten(), density[i].flatten())[0, 1] for i in range(3)]
    assert losses.guidance.item() == pytest.approx(1 - np.mean(r), abs=1e-5)
    assert losses.total.item() == pytest.approx(classification.item() + 0.3 * (1 - np.mean(r)), abs=1e-5)


def test_the_logit_is_left_to_the_classifier():
    """Moving all of a CAM, and so its logit, changes nothing."""
    output, labels, gaze = output_and_gaze()
    cam = output.cam.detach().requires_grad_()
    create_guidance("ggcam-cc")(output._replace(cam=cam), labels, gaze, torch.tensor(0.0)).total.backward()
    assert cam.grad is not None
    torch.testing.assert_close(cam.grad.sum(dim=(2, 3)), torch.zeros(3, 3), atol=1e-6, rtol=0)
