"""The released loss: recorded values, and a slow re-implementation of its formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from ggcam.gaze.batch import GazeBatch
from ggcam.gaze.maps import as_density
from ggcam.guidance import GGCAMGuidance, Guidance, OriginalGuidance
from ggcam.guidance.functional import squared_error
from ggcam.guidance.original import export_scalars, load_scalars
from ggcam.models import original_weights
from ggcam.models.cam import CAMClassifier, CAMHead
from ggcam.models.original_nets import OriginalEffNet, OriginalResNet
from original_weights import recorded_state


@pytest.mark.parametrize("name", ["resnet_18", "resnet_50", "effnet_S", "effnet_M"])
def test_loss_and_gradients_equal_the_recorded_ones(golden, name):
    state = recorded_state(golden, name)
    model = original_weights.identify(state)[1]
    values = {key: torch.tensor(value) for key, value in np.load(golden / f"net_{name}.npz").items()}
    guidance = OriginalGuidance()
    load_scalars(guidance, original_weights.scalars_in_state(state))
    # In evaluation mode, M amplifies rounding errors too much (see the tests of the networks).
    for mode in ("train",) if name == "effnet_M" else ("eval", "train"):
        output = model.head(model.train(mode == "train").backbone(values["x"]))
        classification = nn.functional.cross_entropy(output.logits, values["y"])
        gaze = values["gaze"][:, 0]
        # The recorded maps do not have maximum 1, so they cannot go through `dissimilarity`.
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
    for parameter, name_in_file in (
        (guidance.log_sigma_classification, "lg_sigma_classification"),
        (guidance.log_sigma_guidance, "lg_sigma_dissimilarity"),
        (model.head.weight, "cam_weight"),
    ):
        expected = values[f"grad_{name_in_file}"].reshape(parameter.shape)
        assert (parameter.grad - expected).abs().max() <= 1e-4 * expected.abs().max(), name_in_file


def test_dissimilarity_equals_a_loop_over_the_cells_of_class_0():
    generator = torch.Generator().manual_seed(0)
    output = CAMHead(5, 3)(torch.randn(3, 5, 4, 3, generator=generator))
    maps = torch.rand(3, 4, 3, generator=generator)
    expected = []
    for cam, gaze in zip(output.cam[:, 0].detach(), maps, strict=True):
        cells = zip(cam.flatten().tolist(), gaze.flatten().tolist(), strict=True)
        expected.append(np.mean([(evidence - count / gaze.max().item()) ** 2 for evidence, count in cells]))
    found = OriginalGuidance().dissimilarity(output, torch.tensor([2, 1, 0]), as_density(maps))
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize(("net", "start"), [(OriginalResNet, -23.0), (OriginalEffNet, -16.0), (None, -16.0)])
def test_start_values_depend_on_the_network(net, start):
    class Other(nn.Module):
        num_features = 4

    with torch.device("meta"):
        types = {OriginalResNet: "18", OriginalEffNet: "S"}
        model = CAMClassifier(net(types[net]) if net is not None else Other(), 3)
    guidance = OriginalGuidance()
    guidance.initialize(model)
    assert export_scalars(guidance) == {"lg_sigma_classification": 7, "lg_sigma_dissimilarity": start, "lg_k": 0}


@pytest.mark.parametrize("start", [-16.0, -23.0])
def test_start_values_cause_the_published_imbalance_with_finite_gradients(start):
    guidance = OriginalGuidance()
    nn.init.constant_(guidance.log_sigma_guidance, start)
    classification, dissimilarity = torch.tensor(1.1, requires_grad=True), torch.tensor(0.3, requires_grad=True)
    guidance.combine(classification, dissimilarity).backward()
    ratio = dissimilarity.grad / classification.grad
    assert ratio.item() == pytest.approx({-16.0: 4.75e19, -23.0: 5.71e25}[start], rel=1e-3)
    assert guidance.log_sigma_guidance.grad.item() == pytest.approx(-0.3 * math.exp(-2 * start), rel=1e-4)


def test_a_case_without_gaze_contributes_nothing():
    output = CAMHead(5, 3)(torch.randn(2, 5, 4, 3))
    nowhere = GazeBatch(torch.zeros(2, 1, 2), torch.zeros(2, 1), torch.ones(2, 1, 2), (64, 48))
    losses = OriginalGuidance()(output, torch.tensor([0, 1]), nowhere, torch.tensor(1.0))
    assert losses.guidance.item() == 0


def test_scalars_are_exported_and_loaded_with_the_original_names():
    assert export_scalars(Guidance()) == {}
    guidance = GGCAMGuidance(sigma_classification=2.0, sigma_guidance=0.5, sharpness=3.0)
    found = {name: math.exp(value.item()) for name, value in export_scalars(guidance).items()}
    assert found == pytest.approx({"lg_sigma_classification": 2.0, "lg_sigma_dissimilarity": 0.5, "lg_k": 3.0})
    other = OriginalGuidance()
    load_scalars(other, export_scalars(guidance))
    assert export_scalars(other) == export_scalars(guidance)
