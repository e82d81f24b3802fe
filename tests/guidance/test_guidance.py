"""Guidances by name, and the base class."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ggcam.errors import ConfigError
from ggcam.gaze.batch import GazeBatch
from ggcam.guidance import Guidance, cam_gaze_loss, create_guidance
from guidance.examples import FRAME, GRID, output_and_gaze


def losses_of(name: str, output, labels: torch.Tensor, gaze: GazeBatch):
    classification = nn.functional.cross_entropy(output.logits, labels)
    return create_guidance(name)(output, labels, gaze, classification)


@pytest.mark.parametrize("name", ["ggcam", "ggcam-cc"])
def test_a_case_without_gaze_adds_nothing_and_changes_no_other(name):
    output, labels, gaze = output_and_gaze(cases=2)
    alone = losses_of(
        name,
        output.select(torch.arange(1)),
        labels[:1],
        GazeBatch(gaze.points_px[:1], gaze.weight[:1], gaze.sigma_px[:1], FRAME),
    )
    silent = gaze._replace(weight=gaze.weight * torch.tensor([[1.0], [0.0]]))
    together = losses_of(name, output, labels, silent)
    assert together.guidance.item() == pytest.approx(alone.guidance.item() / 2, rel=1e-5)


def test_no_guidance_is_the_classification_loss_alone():
    output, labels, gaze = output_and_gaze()
    losses = losses_of("none", output, labels, gaze)
    assert losses.total.item() == losses.classification.item()
    assert losses.guidance.item() == 0


@pytest.mark.parametrize(("name", "kind"), [("ggcam-cc", "cc"), ("ggcam", "mse"), ("original", "mse")])
def test_the_methods_use_the_functional_losses(name, kind):
    output, labels, gaze = output_and_gaze()
    density, guidance = gaze.density(GRID), create_guidance(name)
    cam = output.cam[:, 0] if name == "original" else output.cam_for_labels(labels)
    if name == "ggcam":
        cam = torch.sigmoid(0.3 * cam - 2.5)
    assert losses_of(name, output, labels, gaze).guidance.item() == pytest.approx(
        cam_gaze_loss(cam, density, kind).item(), rel=1e-6
    )
    assert guidance.dissimilarity(output, labels, density).shape == (3,)


def test_an_unknown_guidance_lists_the_known_ones():
    with pytest.raises(ConfigError, match="none, ggcam, ggcam-cc"):
        create_guidance("gradcam")


class ShapeOnly(Guidance):
    """A guidance as a user would write it, in this test module."""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("guidance.test_guidance:FRAME", "not a guidance.*subclass of ggcam.Guidance.*(64, 48)"),
        ("guidance.test_guidance:nn", "not a guidance"),
        ("guidance.test_guidance:Missing", "has no Missing"),
        ("no_such_module:Mine", "no module no_such_module"),
    ],
)
def test_what_is_no_guidance_of_ones_own_is_refused(name, message):
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        create_guidance(name)


def test_a_guidance_of_ones_own_is_created_by_its_name():
    found = create_guidance("guidance.test_guidance:ShapeOnly", weight=0.25)
    assert type(found).__name__ == "ShapeOnly"
    assert found.weight == 0.25
