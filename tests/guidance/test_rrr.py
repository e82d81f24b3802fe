"""The gradient of the answer outside the attended area, against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ggcam.gaze.batch import GazeBatch
from ggcam.guidance import create_guidance
from ggcam.models.cam import CAMClassifier
from guidance.examples import FRAME, GRID, batch, inside, network_for


def log_probabilities(model: CAMClassifier, images: torch.Tensor, several_labels: bool) -> np.ndarray:
    """The sum over the classes of log p, or of log p + log(1 - p), for each image."""
    with torch.no_grad():
        logits = model(images).logits.double().numpy()
    if several_labels:
        p = 1 / (1 + np.exp(-logits))
        return (np.log(p) + np.log(1 - p)).sum(axis=1)
    return np.log(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).sum(axis=1)


@pytest.mark.parametrize("several_labels", [False, True])
def test_the_loss_is_the_squared_gradient_of_the_pixels_outside(several_labels):
    guidance = create_guidance("rrr", options={"strength": 3.0})
    model, data = network_for(guidance), batch(several_labels=several_labels)
    image = data.image[:1] / 255
    gaze = GazeBatch(data.points_px[:1], data.duration_s[:1], torch.full((1, 10, 2), 3.0), FRAME)
    density = gaze.density(GRID)
    output = guidance.forward_pass(model, image, data.label[:1], gaze)
    found = guidance.dissimilarity(output, torch.tensor([0]), density)
    assert found is not None
    here, expected, step = inside(density[0].numpy()), 0.0, 0.02
    for row in range(64):
        change = torch.zeros(48, 1, *FRAME)
        change[torch.arange(48), 0, row, torch.arange(48)] = step
        up, down = (log_probabilities(model, image + sign * change, several_labels) for sign in (1, -1))
        slope = (up - down) / (2 * step)
        expected += sum(slope[column] ** 2 for column in range(48) if not here[row // 8, column // 8])
    assert 0 < here.sum() < here.size
    assert found.item() == pytest.approx(3.0 * expected, rel=1e-3)


def test_every_weight_is_trained_by_it_and_the_map_is_a_constant():
    guidance = create_guidance("rrr")
    model, data = network_for(guidance), batch()
    gaze = GazeBatch(data.points_px, data.duration_s, torch.full_like(data.points_px, 6.0), FRAME)
    output = guidance.forward_pass(model, data.image, data.label, gaze)
    found = guidance.dissimilarity(output, data.label, gaze.density(GRID))
    assert found is not None
    found.sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert (parameter.grad != 0).any(), name


def test_the_prediction_itself_stays_the_same():
    guidance = create_guidance("rrr")
    model, data = network_for(guidance), batch()
    gaze = GazeBatch(data.points_px, data.duration_s, torch.full_like(data.points_px, 6.0), FRAME)
    found, plain = guidance.forward_pass(model, data.image, data.label, gaze), model(data.image)
    torch.testing.assert_close(found.logits, plain.logits)
    assert guidance.dissimilarity(plain, data.label, gaze.density(GRID)) is None
