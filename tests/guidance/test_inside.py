"""The evidence for the class against the attended cells, cell by cell."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ggcam.guidance import create_guidance
from ggcam.models.cam import CAMOutput
from guidance.examples import arrays, evidence, inside, random_maps


def slow_energy(a: np.ndarray, attended: np.ndarray) -> float:
    return 1 - sum(value for value, here in zip(a.flat, attended.flat, strict=True) if here) / a.sum()


def slow_haics(a: np.ndarray, attended: np.ndarray) -> float:
    found = [-math.log(max(value, 1e-3)) for value, here in zip(a.flat, attended.flat, strict=True) if here]
    return sum(found) / len(found) if found else 0.0


def slow_rrr_star(a: np.ndarray, attended: np.ndarray) -> float:
    return sum(value**2 for value, here in zip(a.flat, attended.flat, strict=True) if not here) / a.size


SLOW = {"energy": slow_energy, "haics": slow_haics, "rrr-star": slow_rrr_star}


@pytest.mark.parametrize("threshold", [0.15, 0.6])
@pytest.mark.parametrize("name", SLOW)
def test_each_loss_equals_a_loop_over_the_cells(name, threshold):
    output, labels, density = random_maps()
    found = create_guidance(name, options={"threshold": threshold}).dissimilarity(output, labels, density)
    expected = [SLOW[name](evidence(cam), inside(gaze, threshold)) for cam, gaze in arrays(output, labels, density)]
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-5)


def cam_of(values: list[list[float]]) -> CAMOutput:
    cam = torch.tensor([[values]])
    return CAMOutput(cam.mean(dim=(2, 3)), cam, torch.zeros(1, 1, 2, 2))


@pytest.mark.parametrize(
    ("cam", "energy", "haics", "rrr_star"),
    [
        ([[2.0, 2.0], [-1.0, -3.0]], 0.0, 0.0, 0.0),  # all of it inside
        ([[-1.0, 0.0], [4.0, 0.0]], 1.0, -math.log(1e-3), 0.25),  # all of it outside
        ([[-1.0, -2.0], [-4.0, -1.0]], 1.0, -math.log(1e-3), 0.0),  # no evidence
    ],
)
def test_the_best_and_the_worst_cams(cam, energy, haics, rrr_star):
    density = torch.tensor([[[0.5, 0.5], [0.0, 0.0]]])
    for name, expected in (("energy", energy), ("haics", haics), ("rrr-star", rrr_star)):
        found = create_guidance(name).dissimilarity(cam_of(cam), torch.tensor([0]), density)
        assert found.item() == pytest.approx(expected, abs=1e-6), name


def test_what_is_free_gets_no_gradient():
    """Cells below the largest, whose value scales all others."""
    density = torch.tensor([[[0.5, 0.5], [0.0, 0.0]]])
    for name, free in (("haics", (1, slice(None))), ("rrr-star", (0, 1))):
        cam = torch.tensor([[[[3.0, 1.0], [2.0, 0.5]]]], requires_grad=True)
        output = cam_of([[0.0, 0.0], [0.0, 0.0]])._replace(cam=cam)
        create_guidance(name).dissimilarity(output, torch.tensor([0]), density).sum().backward()
        assert cam.grad is not None
        assert (cam.grad[0, 0][free] == 0).all(), name
        assert (cam.grad != 0).any(), name
