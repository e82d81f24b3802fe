"""The released loss: the values recorded from it, and its formula written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from ggcam.gaze.maps import GazeBatch, as_density
from ggcam.guidance import GGCAMGuidance, Guidance, OriginalGuidance
from ggcam.guidance.original import scalars_of, start_from
from ggcam.guidance.uncertainty import squared_error
from ggcam.models import original
from ggcam.models.cam import CAMClassifier, CAMHead
from ggcam.models.original_nets import OriginalEffNet, OriginalResNet
from original_weights import drawn_state


@pytest.mark.parametrize("name", ["resnet_18", "resnet_50", "effnet_S", "effnet_M"])
def test_loss_and_gradients_are_the_recorded_ones(golden, name):
    state = drawn_state(golden, name)
    model = original.recognise(state)[1]
    values = {key: torch.tensor(value) for key, value in np.load(golden / f"net_{name}.npz").items()}
    guidance = OriginalGuidance()
    start_from(guidance, original.scalars_of(state))
    # M's evaluation is chaos, see the tests of the networks; its training is not.
    for mode in ("train",) if name == "effnet_M" else ("eval", "train"):
        output = model.head(model.train(mode == "train").backbone(values["x"]))
        classification = nn.functional.cross_entropy(output.logits, values["y"])
        gaze = values["gaze"][:, 0]
        # Recorded with maps whose maximum is not 1, so that here they take the way around `divergence`.
        dissimilarity = squared_error(output.cam[:, 0], gaze).mean()
        total = guidance.combine(classification, dissimilarity)
        found = {
            "loss_sum": total,
            "loss_classification": classification,
            "loss_dissimilarity": dissimilarity,
            "sigma_c": guidance.log_sigma_classification.exp(),
            "sigma_d": guidance.log_sigma_guidance.exp(),
        }
        for part, value in found.items():
            assert value.item() == pytest.approx(values[f"{mode}_{part}"].item(), rel=1e-4), part
    total.backward()
    assert guidance.log_sharpness.grad is None
    for ours, theirs in (
        (guidance.log_sigma_classification, "lg_sigma_classification"),
        (guidance.log_sigma_guidance, "lg_sigma_dissimilarity"),
        (model.head.weight, "cam_weight"),
    ):
        wanted = values[f"grad_{theirs}"].reshape(ours.shape)
        assert (ours.grad - wanted).abs().max() <= 1e-4 * wanted.abs().max(), theirs


def test_the_loss_is_class_0s_squared_error_written_out():
    generator = torch.Generator().manual_seed(0)
    output = CAMHead(5, 3)(torch.randn(3, 5, 4, 3, generator=generator))
    maps = torch.rand(3, 4, 3, generator=generator)
    slow = []
    for cam, gaze in zip(output.cam[:, 0].detach(), maps, strict=True):
        cells = zip(cam.flatten().tolist(), gaze.flatten().tolist(), strict=True)
        slow.append(np.mean([(y - g / gaze.max().item()) ** 2 for y, g in cells]))
    found = OriginalGuidance().dissimilarity(output, torch.tensor([2, 1, 0]), as_density(maps))
    np.testing.assert_allclose(found.detach().numpy(), slow, rtol=1e-5)


@pytest.mark.parametrize(("net", "start"), [(OriginalResNet, -23.0), (OriginalEffNet, -16.0), (None, -16.0)])
def test_start_values_depend_on_the_network(net, start):
    class Other(nn.Module):
        num_features = 4

    with torch.device("meta"):
        types = {OriginalResNet: "18", OriginalEffNet: "S"}
        model = CAMClassifier(net(types[net]) if net is not None else Other(), 3)
    guidance = OriginalGuidance()
    guidance.attach(model)
    assert scalars_of(guidance) == {"lg_sigma_classification": 7, "lg_sigma_dissimilarity": start, "lg_k": 0}


@pytest.mark.parametrize("start", [-16.0, -23.0])
def test_start_values_give_the_published_imbalance_and_finite_gradients(start):
    guidance = OriginalGuidance()
    nn.init.constant_(guidance.log_sigma_guidance, start)
    classification, dissimilarity = torch.tensor(1.1, requires_grad=True), torch.tensor(0.3, requires_grad=True)
    guidance.combine(classification, dissimilarity).backward()
    ratio = dissimilarity.grad / classification.grad
    assert ratio.item() == pytest.approx({-16.0: 4.75e19, -23.0: 5.71e25}[start], rel=1e-3)
    assert guidance.log_sigma_guidance.grad.item() == pytest.approx(-0.3 * math.exp(-2 * start), rel=1e-4)


def test_a_case_without_gaze_adds_nothing():
    output = CAMHead(5, 3)(torch.randn(2, 5, 4, 3))
    nowhere = GazeBatch(torch.zeros(2, 1, 2), torch.zeros(2, 1), torch.ones(2, 1, 2), (64, 48))
    losses = OriginalGuidance()(output, torch.tensor([0, 1]), nowhere, torch.tensor(1.0))
    assert losses.guidance.item() == 0


def test_scalars_go_by_the_originals_names():
    assert scalars_of(Guidance()) == {}
    guidance = GGCAMGuidance(sigma_classification=2.0, sigma_guidance=0.5, sharpness=3.0)
    found = {name: math.exp(value.item()) for name, value in scalars_of(guidance).items()}
    assert found == pytest.approx({"lg_sigma_classification": 2.0, "lg_sigma_dissimilarity": 0.5, "lg_k": 3.0})
    other = OriginalGuidance()
    start_from(other, scalars_of(guidance))
    assert scalars_of(other) == scalars_of(guidance)
