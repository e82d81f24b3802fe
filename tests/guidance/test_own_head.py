"""The losses of heads that weigh cells, against loops; which parts of the head they train."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from ggcam.guidance import create_guidance
from guidance.examples import GRID, batch, inside, network_for, peak


def made(name: str, **options: float):
    """A guidance, its network and the output, labels and attention maps of a batch."""
    guidance = create_guidance(name, options=options)
    model, data = network_for(guidance), batch()
    density = torch.rand(4, *GRID, generator=torch.Generator().manual_seed(0)) ** 3
    return guidance, model, model(data.image), data.label, density / density.sum(dim=(1, 2), keepdim=True)


def trained_parts(head: nn.Module) -> set[str]:
    """The parameters that have a gradient other than 0."""
    return {name for name, each in head.named_parameters() if each.grad is not None and each.grad.abs().max() > 1e-6}


def test_the_branchs_map_is_compared_and_only_the_branch_is_trained_by_it():
    guidance, model, output, labels, density = made("abn")
    found = guidance.dissimilarity(output, labels, density)
    logits = output.extra["attention_logits"].detach().double().numpy()
    maps = zip(logits, density.double().numpy(), strict=True)
    expected = [np.mean((1 / (1 + np.exp(-z)) - peak(gaze)) ** 2) for z, gaze in maps]
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-5)
    found.sum().backward()
    trained = trained_parts(model.head)
    assert {"attention.weight", "attention.bias", "branch.1.weight"} <= trained
    assert not {"weight", "bias", "class_maps.weight", "class_maps.bias"} & trained
    assert trained_parts(model.backbone)


def test_the_branchs_classifier_has_a_loss_of_its_own():
    guidance, model, output, labels, _ = made("abn")
    extra = guidance.extra_loss(output, lambda logits: nn.functional.cross_entropy(logits, labels))
    assert extra is not None
    torch.testing.assert_close(extra, nn.functional.cross_entropy(output.extra["branch_logits"], labels))
    extra.backward()
    trained = trained_parts(model.head)
    assert {"class_maps.weight", "class_maps.bias", "branch.1.weight"} <= trained
    assert not {"weight", "bias", "attention.weight"} & trained


def test_the_pooling_weights_are_compared_and_only_they_are_trained_by_it():
    guidance, model, output, labels, density = made("gaze-attention")
    found = guidance.dissimilarity(output, labels, density)
    pooling = output.extra["pooling"].detach().double().numpy()
    expected = [
        stats.entropy(gaze.ravel(), p.ravel()) for gaze, p in zip(density.double().numpy(), pooling, strict=True)
    ]
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-4)
    found.sum().backward()
    assert trained_parts(model.head) == {"score.weight"}  # a bias moves all cells of a softmax alike
    assert trained_parts(model.backbone)


@pytest.mark.parametrize("threshold", [0.15, 0.5])
def test_the_cells_probabilities_are_those_of_the_attended_area(threshold):
    guidance, model, output, labels, density = made("mil", threshold=threshold)
    floor = 1e-9 ** (1 / 48)
    expected = []
    for i, label in enumerate(labels.tolist()):
        here, total = inside(density[i].double().numpy(), threshold), 0.0
        for z, attended in zip(output.cam[i, label].flatten().tolist(), here.flat, strict=True):
            p = 1 / (1 + math.exp(-z))
            total -= math.log(p) if attended else math.log(1 - (1 - floor) * p)
        expected.append(total / 48)
    found = guidance.dissimilarity(output, labels, density)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-5)
    found.sum().backward()
    assert trained_parts(model.head) == {"weight", "bias"}
    assert trained_parts(model.backbone)
