"""Heads that weigh the cells of the grid: their logits against loops, and what holds for all of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ggcam.models.cam import CAMHead
from ggcam.models.heads import HEADS, AttentionBranchHead, AttentionPoolHead, MILHead

FEATURES, CLASSES, GRID = 5, 3, (4, 3)


def features(seed: int = 0) -> torch.Tensor:
    return torch.randn(2, FEATURES, *GRID, generator=torch.Generator().manual_seed(seed))


def head_of(name: str) -> CAMHead:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return HEADS[name](FEATURES, CLASSES)


@pytest.mark.parametrize("name", HEADS)
def test_each_head_has_a_logit_and_a_map_for_each_class(name):
    output = head_of(name)(features())
    assert output.logits.shape == (2, CLASSES)
    assert output.cam.shape == (2, CLASSES, *GRID)
    assert output.features.shape == (2, FEATURES, *GRID)
    assert all(len(part) == 2 for part in output.extra.values())


@pytest.mark.parametrize("name", [name for name in HEADS if name != "mil"])
def test_the_logit_is_the_mean_of_the_cam_and_the_bias(name):
    head = head_of(name)
    output = head(features())
    torch.testing.assert_close(output.logits, output.cam.mean(dim=(2, 3)) + head.bias)


@pytest.mark.parametrize("name", HEADS)
def test_half_precision_features_are_computed_in_float32(name):
    head = head_of(name).eval()
    with torch.autocast("cpu", torch.bfloat16):
        found = head(features().bfloat16())
    assert found.logits.dtype == found.cam.dtype == torch.float32
    torch.testing.assert_close(found.logits, head(features().bfloat16().float()).logits)


def test_pooling_equals_a_loop():
    head = head_of("attention-pool")
    assert isinstance(head, AttentionPoolHead)
    output, given = head(features()), features().double().numpy()
    weight, bias = head.weight.detach().double().numpy(), head.bias.detach().double().numpy()
    score = head.score.weight.detach().double().numpy()[0, :, 0, 0]
    for case, each in enumerate(given):
        scores = np.exp(np.einsum("chw,c->hw", each, score))  # the bias of a softmax changes nothing
        a = scores / scores.sum()
        logits = [sum(a[r, c] * weight[k] @ each[:, r, c] for r in range(4) for c in range(3)) for k in range(CLASSES)]
        np.testing.assert_allclose(output.extra["pooling"][case].detach().numpy(), a, rtol=1e-5)
        np.testing.assert_allclose(output.logits[case].detach().numpy(), np.array(logits) + bias, rtol=1e-4, atol=1e-6)


def test_pooling_with_equal_weights_is_the_plain_head():
    head, plain = head_of("attention-pool"), CAMHead(FEATURES, CLASSES)
    assert isinstance(head, AttentionPoolHead)
    torch.nn.init.zeros_(head.score.weight)
    plain.load_state_dict({"weight": head.weight, "bias": head.bias})
    torch.testing.assert_close(head(features())[:2], plain(features())[:2])


def test_the_branch_strengthens_the_features():
    head, plain = head_of("attention-branch").eval(), CAMHead(FEATURES, CLASSES)
    assert isinstance(head, AttentionBranchHead)
    plain.load_state_dict({"weight": head.weight, "bias": head.bias})
    output = head(features())
    attention = output.extra["attention_logits"].sigmoid()
    torch.testing.assert_close(output[:3], plain(features() * (1 + attention[:, None]))[:3])
    hidden = head.branch(features())
    torch.testing.assert_close(output.extra["attention_logits"], head.attention(hidden)[:, 0])
    torch.testing.assert_close(output.extra["branch_logits"], head.class_maps(hidden).mean(dim=(2, 3)))


def slow_mil(cam: np.ndarray) -> float:
    """The logit of `1 - prod (1 - p)`, cell by cell, with `1 - p` from q on."""
    q = 1e-9 ** (1 / cam.size)
    none = 1.0
    for z in cam.flat:
        none *= 1 - (1 - q) / (1 + math.exp(-z))
    return math.log((1 - none) / none)


def test_an_image_shows_a_class_if_some_cell_does():
    output = head_of("mil")(features())
    expected = [[slow_mil(cam) for cam in each] for each in output.cam.detach().double().numpy()]
    np.testing.assert_allclose(output.logits.detach().numpy(), expected, rtol=1e-4)


def test_the_squeeze_is_the_published_one_on_the_published_grid():
    assert pytest.approx(0.98, abs=2e-4) == 1e-9 ** (1 / 32**2)


@pytest.mark.parametrize("cells", [20, 56, 1024])
def test_the_probability_of_a_new_head_does_not_depend_on_the_number_of_cells(cells):
    head = head_of("mil")
    assert isinstance(head, MILHead)
    p = head(torch.zeros(1, FEATURES, cells, 1)).logits.sigmoid()
    assert (p - 0.3).abs().max() < 0.15


@pytest.mark.parametrize("level", [-80.0, -30.0, -4.0, 0.0, 30.0, 1e4])
def test_the_logit_and_its_gradient_are_finite_and_exact_however_sure_the_cells_are(level):
    head = head_of("mil")
    torch.nn.init.constant_(head.bias, level)
    output = head(torch.zeros(1, FEATURES, *GRID))
    output.logits.sum().backward()
    assert output.logits.isfinite().all()
    assert head.bias.grad is not None
    assert head.bias.grad.isfinite().all()
    if level < 0:  # where nothing is found, the logit follows that of the cells
        q = 1e-9 ** (1 / 12)
        expected = math.log(12 * (1 - q)) + level if level < -20 else slow_mil(np.full(12, level))
        assert output.logits[0, 0].item() == pytest.approx(expected, rel=1e-3)
        assert (head.bias.grad > 0.5).all()
