"""Guidance where a case may have several labels: against loops over cases and labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ggcam.errors import ConfigError
from ggcam.gaze.batch import GazeBatch
from ggcam.gaze.maps import attention_maps
from ggcam.guidance import create_guidance
from ggcam.guidance.pairs import Pairs
from ggcam.models.cam import CAMHead, CAMOutput

FRAME, GRID = (64, 48), (8, 6)
CASES, CLASSES, POINTS = 5, 3, 10
UNKNOWN = math.nan
LABELS = torch.tensor([[1, 0, 1], [0, 0, UNKNOWN], [UNKNOWN, 1, 0], [1, 1, 1], [0, 1, 0]])


def made(seed: int = 0) -> tuple[CAMOutput, GazeBatch]:
    """Case 4 has no gaze; the points of case 3 name class 0 alone, those of case 2 one that it has not."""
    random = torch.Generator().manual_seed(seed)
    output = CAMHead(5, CLASSES)(torch.randn(CASES, 5, *GRID, generator=random))
    points = torch.rand(CASES, POINTS, 2, generator=random) * torch.tensor([48.0, 64.0])
    weight = torch.rand(CASES, POINTS, generator=random) + 0.1
    weight[4] = 0
    label = torch.full((CASES, POINTS), -1)
    label[0, :4], label[0, 4:6], label[3, ::2], label[2, :] = 0, 2, 0, 2
    return output, GazeBatch(points, weight, torch.full_like(points, 6.0), FRAME, label)


def slow_weights(gaze: GazeBatch, case: int, k: int, choice: str) -> torch.Tensor | None:
    """Weights of the points that guide class k in a case, one by one; None where nobody looked."""
    of_all = gaze.weight[case].tolist()
    own = [w if gaze.label[case, p] == k else 0.0 for p, w in enumerate(of_all)]
    chosen = {"all": of_all, "own": own, "own-else-all": own if sum(own) > 0 else of_all}[choice]
    return torch.tensor(chosen) if sum(chosen) > 0 else None


def slow_guidance(output: CAMOutput, labels: torch.Tensor, gaze: GazeBatch, choice: str) -> float:
    """`1 - r`, mean over each case's guided labels, then over all cases."""
    of_cases = []
    for case in range(len(labels)):
        found = []
        for k in range(labels.shape[1]):
            weight = slow_weights(gaze, case, k, choice) if labels[case, k] == 1 else None
            if weight is not None:
                one = (gaze.points_px[case][None], weight[None], gaze.sigma_px[case][None])
                density = attention_maps(*one, FRAME, GRID)[0]
                r = np.corrcoef(output.cam[case, k].detach().flatten(), density.flatten())[0, 1]
                found.append(1 - r)
        of_cases.append(np.mean(found) if found else 0.0)
    return float(np.mean(of_cases))


@pytest.mark.parametrize("choice", ["own-else-all", "all", "own"])
def test_guidance_of_several_labels_equals_a_loop(choice):
    output, gaze = made()
    found = create_guidance("ggcam-cc")(output, LABELS, gaze._replace(label_gaze=choice), torch.tensor(0.5))
    assert found.guidance.item() == pytest.approx(slow_guidance(output, LABELS, gaze, choice), abs=1e-5)
    assert found.total.item() == pytest.approx(0.5 + found.guidance.item())


def test_the_choices_differ():
    output, gaze = made()
    assert (
        len({round(slow_guidance(output, LABELS, gaze, choice), 4) for choice in ("own-else-all", "all", "own")}) == 3
    )


def test_points_without_any_label_are_everybodys_or_nobodys():
    output, gaze = made()
    guidance = create_guidance("ggcam-cc")
    plain = gaze._replace(label=None)
    whole = guidance(output, LABELS, gaze._replace(label_gaze="all"), torch.tensor(0.0)).guidance
    assert torch.equal(guidance(output, LABELS, plain, torch.tensor(0.0)).guidance, whole)
    assert guidance(output, LABELS, plain._replace(label_gaze="own"), torch.tensor(0.0)).guidance == 0


@pytest.mark.parametrize("name", ["none", "ggcam", "ggcam-cc"])
@given(st.lists(st.integers(0, CLASSES - 1), min_size=CASES, max_size=CASES), st.integers(0, 9))
def test_one_label_a_case_is_the_same_said_either_way(name, classes, seed):
    output, gaze = made(seed)
    labels = torch.tensor(classes)
    guidance, gaze = create_guidance(name), gaze._replace(label_gaze="all")
    one = guidance(output, labels, gaze, torch.tensor(0.7))
    several = guidance(output, nn.functional.one_hot(labels, CLASSES).float(), gaze, torch.tensor(0.7))
    torch.testing.assert_close(one, several)


@pytest.mark.parametrize("name", ["ggcam", "ggcam-cc"])
@pytest.mark.parametrize("nothing", [0.0, UNKNOWN])
def test_a_batch_without_any_present_label_adds_nothing_and_keeps_gradients_finite(name, nothing):
    output, gaze = made()
    output.cam.retain_grad()
    guidance = create_guidance(name)
    losses = guidance(output, torch.full((CASES, CLASSES), nothing), gaze, output.logits.mean())
    losses.total.backward()
    assert losses.guidance == 0
    assert torch.isfinite(output.cam.grad).all()
    assert all(p.grad is None or torch.isfinite(p.grad) for p in guidance.parameters())


def test_no_label_that_is_absent_or_unknown_gets_a_gradient():
    output, gaze = made()
    cam = output.cam.detach().requires_grad_()
    create_guidance("ggcam-cc")(output._replace(cam=cam), LABELS, gaze, torch.tensor(0.0)).total.backward()
    touched = cam.grad.abs().sum(dim=(2, 3)) > 0
    has_gaze = (gaze.weight.sum(dim=1) > 0)[:, None]
    assert torch.equal(touched, (LABELS == 1) & has_gaze)


def test_pairs_say_which_case_and_label_they_are():
    output, gaze = made()
    pairs = Pairs.from_batch(output, LABELS, gaze)
    assert list(zip(pairs.case.tolist(), pairs.label.tolist(), strict=True)) == [
        (0, 0), (0, 2), (2, 1), (3, 0), (3, 1), (3, 2), (4, 1),
    ]  # fmt: skip
    assert torch.equal(pairs.output.cam_for_labels(pairs.label), output.cam[pairs.case, pairs.label])


def test_the_original_loss_refuses_several_labels():
    output, gaze = made()
    with pytest.raises(ConfigError, match=r"one class per case(.|\n)*--guidance(.|\n)*ggcam, ggcam-cc or none"):
        create_guidance("original")(output, LABELS, gaze, torch.tensor(0.0))


def test_pairs_that_are_found_beforehand_give_the_same_losses():
    output, gaze = made()
    guidance = create_guidance("ggcam-cc")
    found = guidance(output, LABELS, gaze, torch.tensor(0.5))
    given_pairs = guidance(output, LABELS, gaze, torch.tensor(0.5), torch.nonzero(LABELS == 1))
    assert all(torch.equal(one, other) for one, other in zip(found, given_pairs, strict=True))
