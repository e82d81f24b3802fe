"""The optimizer: which parameters it has, and how fast each of them changes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ggcam.guidance import create_guidance
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier
from ggcam.models.freezing import freeze_stages
from ggcam.training.config import TrainConfig
from ggcam.training.lightning_module import GuidedTraining
from ggcam.training.optimizer import create_optimizer

SIZE = (64, 64)


def training(config: TrainConfig, frozen: int = 0) -> GuidedTraining:
    model = CAMClassifier(create_backbone("test_resnet", SIZE), 2)
    freeze_stages(model.backbone, frozen, SIZE, in_channels=1)
    return GuidedTraining(model, create_guidance("ggcam"), config, SIZE)


def rates(optimizer: torch.optim.Optimizer) -> dict[int, tuple[float, float]]:
    return {
        id(each): (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for each in group["params"]
    }


@pytest.mark.parametrize("optimizer", ["adamw", "adam"])
@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_the_backbone_has_its_own_rate_and_vectors_no_decay(optimizer, scale):
    config = TrainConfig(optimizer=optimizer, backbone_lr_scale=scale, lr=0.01, weight_decay=0.02)
    module = training(config)
    found = create_optimizer(module, module.model, config)
    assert found.param_groups[0]["lr"] == 0.01
    expected = {
        id(each): (pytest.approx(0.01 * scale if name.startswith("model.backbone.") else 0.01), 0.02 * (each.ndim > 1))
        for name, each in module.named_parameters()
    }
    assert rates(found) == expected
    assert sum(len(group["params"]) for group in found.param_groups) == len(expected)


def test_frozen_parameters_are_not_in_the_optimizer():
    for config in (TrainConfig(), TrainConfig(backbone_lr_scale=0.1)):
        module = training(config, frozen=2)
        expected = {id(each) for each in module.parameters() if each.requires_grad}
        assert rates(create_optimizer(module, module.model, config)).keys() == expected


def test_a_step_moves_the_backbone_by_the_scale():
    steps = []
    for scale in (1.0, 0.25):
        torch.manual_seed(0)
        config = TrainConfig(backbone_lr_scale=scale, optimizer="adam", weight_decay=0.0, lr=1e-3)
        module = training(config)
        before = [each.detach().clone() for each in module.model.parameters()]
        optimizer = create_optimizer(module, module.model, config)
        output = module.model(torch.rand(2, 1, *SIZE, generator=torch.Generator().manual_seed(1)))
        nn.functional.cross_entropy(output.logits, torch.tensor([0, 1])).backward()
        optimizer.step()
        steps.append([after.detach() - old for after, old in zip(module.model.parameters(), before, strict=True)])
    names = [name for name, _ in training(TrainConfig()).model.named_parameters()]
    for name, whole, scaled in zip(names, *steps, strict=True):
        factor = 0.25 if name.startswith("backbone.") else 1.0
        torch.testing.assert_close(scaled, factor * whole, rtol=1e-3, atol=1e-7)
