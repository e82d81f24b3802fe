"""What the map leaves of the image, by hand; which statistics and weights the second pass touches."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from ggcam.gaze.batch import GazeBatch
from ggcam.guidance import create_guidance
from ggcam.models.cam import CAMClassifier
from guidance.examples import CLASSES, FRAME, Cells, arrays, batch, evidence, network_for, peak, random_maps


def attention() -> GazeBatch:
    data = batch()
    return GazeBatch(data.points_px, data.duration_s, torch.full_like(data.points_px, 6.0), FRAME)


@pytest.mark.parametrize("several_labels", [False, True])
def test_the_remaining_probability_is_that_of_the_image_without_the_map(several_labels):
    guidance = create_guidance("gain", options={"omega": 8.0, "sigma": 0.4, "removal": 0.7})
    model, data = network_for(guidance), batch(several_labels=several_labels)
    guidance.initialize(model)
    output = guidance.forward_pass(model, data.image, data.label, attention())
    whole = model(data.image)
    torch.testing.assert_close(output.logits, whole.logits)
    remaining = []
    for i, label in enumerate(data.label):
        classes = [k for k in range(CLASSES) if label[k] == 1] if several_labels else [int(label)]
        shown = np.max([evidence(whole.cam[i, k].detach().numpy()) for k in classes], axis=0) if classes else 0 * 8
        removed = 1 / (1 + np.exp(-8.0 * (np.broadcast_to(shown, whole.cam.shape[2:]) - 0.4)))
        removed = torch.tensor(removed, dtype=torch.float32)[None, None]
        removed = functional.interpolate(removed, FRAME, mode="bilinear", align_corners=False)
        rest = model(data.image[i : i + 1] / 255 * (1 - removed)).logits[0]
        probability = rest.sigmoid() if several_labels else rest.softmax(dim=0)
        remaining.append(sum(probability[k].item() for k in classes) / max(1, len(classes)))
    extra = guidance.extra_loss(output, lambda logits: logits.sum())
    assert extra is not None
    assert extra.item() == pytest.approx(0.7 * sum(remaining) / len(remaining), rel=1e-4)


def test_the_map_is_compared_with_the_attention():
    output, labels, density = random_maps()
    found = create_guidance("gain").dissimilarity(output, labels, density)
    expected = [np.mean((evidence(cam) - peak(gaze)) ** 2) for cam, gaze in arrays(output, labels, density)]
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-5)


def test_the_remaining_probability_trains_the_map_and_the_classifier():
    guidance = create_guidance("gain")
    model, data = network_for(guidance), batch()
    guidance.initialize(model)
    output = guidance.forward_pass(model, data.image, data.label, attention())
    output.cam.retain_grad()
    extra = guidance.extra_loss(output, lambda logits: logits.sum())
    assert extra is not None
    extra.backward()
    assert output.cam.grad is not None
    assert (output.cam.grad.abs().sum(dim=(1, 2, 3)) > 0).all()
    for parameter in model.parameters():
        assert parameter.grad is not None
        assert (parameter.grad != 0).any()


def test_running_statistics_are_those_of_whole_images():
    class Normed(Cells):
        def __init__(self) -> None:
            super().__init__()
            self.layers.append(nn.BatchNorm2d(self.num_features))

    torch.manual_seed(0)
    guidance, model, data = create_guidance("gain"), CAMClassifier(Normed(), CLASSES).train(), batch()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    guidance.initialize(model)
    model(data.image)
    once = {key: value.clone() for key, value in model.state_dict().items()}
    model.load_state_dict(state)
    guidance.forward_pass(model, data.image, data.label, attention())
    torch.testing.assert_close(dict(model.state_dict()), once)
    assert not math.isclose(once["backbone.layers.3.running_mean"].abs().sum().item(), 0)
