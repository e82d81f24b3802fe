"""Frozen stages: exactly the layers that compute their features, whatever the network calls them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ggcam.errors import ConfigError
from ggcam.models.backbones import TimmBackbone, create_backbone
from ggcam.models.freezing import freeze_stages

SIZE = (64, 64)


def frozen_backbone(name: str, stages: int, **options) -> TimmBackbone:
    torch.manual_seed(0)
    backbone = create_backbone(name, SIZE, **options)
    assert isinstance(backbone, TimmBackbone)
    freeze_stages(backbone, stages, SIZE, in_channels=1)
    return backbone.train()


@pytest.mark.parametrize(
    ("name", "stages", "frozen", "trained"),
    [
        ("resnet10t", 1, ("conv1.", "bn1."), "layer1."),
        ("resnet10t", 3, ("conv1.", "bn1.", "layer1.", "layer2."), "layer3."),
        ("test_efficientnet", 2, ("conv_stem.", "bn1.", "blocks.0.", "blocks.1."), "blocks.2."),
        ("test_vit", 2, ("cls_token", "pos_embed", "patch_embed.", "blocks.0.", "blocks.1."), "blocks.2."),
        ("convnext_atto", 2, ("stem.", "stages.0.", "stages.1."), "stages.2."),
        ("densenet121", 2, ("features.conv0.", "features.norm0.", "features.denseblock1."), "features.transition1."),
    ],
)
def test_the_parameters_of_the_first_stages_are_fixed_and_no_others(name, stages, frozen, trained):
    backbone = frozen_backbone(name, stages)
    fixed = {name for name, value in backbone.trunk.named_parameters() if not value.requires_grad}
    assert fixed == {name for name, _ in backbone.trunk.named_parameters() if name.startswith(frozen)}
    assert any(name.startswith(trained) for name, _ in backbone.trunk.named_parameters())


@pytest.mark.parametrize("num_stages", [None, 4])
def test_statistics_and_features_of_frozen_stages_do_not_change_in_training(num_stages):
    backbone = frozen_backbone("resnet10t", 3, num_stages=num_stages)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    optimizer = torch.optim.SGD([each for each in backbone.parameters() if each.requires_grad], lr=0.1)
    for _ in range(2):
        backbone.eval().train()  # as after a validation
        optimizer.zero_grad()
        backbone(torch.rand(4, 1, *SIZE)).square().mean().backward()
        optimizer.step()
    changed = {
        name.split(".")[1] for name, value in backbone.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == ({"layer3"} if num_stages else {"layer3", "layer4"})
    norms = {name: each.training for name, each in backbone.trunk.named_modules() if isinstance(each, nn.BatchNorm2d)}
    assert all(training == name.startswith(("layer3", "layer4")) for name, training in norms.items())


def test_freezing_commutes_with_gradient_checkpointing():
    backbone, image = frozen_backbone("resnet10t", 2), torch.rand(2, 1, *SIZE)
    gradients = []
    for checkpointing in (False, True):
        backbone.zero_grad()
        backbone.set_grad_checkpointing(checkpointing)
        backbone(image).square().mean().backward()
        gradients.append([each.grad for each in backbone.parameters() if each.requires_grad])
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(*gradients, strict=True))


def test_all_stages_of_a_shortened_network_can_be_frozen():
    backbone = frozen_backbone("resnet10t", 3, num_stages=3)
    assert not any(each.requires_grad for each in backbone.parameters())


@pytest.mark.parametrize("options", [{}, {"num_stages": 3}])
def test_more_stages_than_there_are_cannot_be_frozen(options):
    with pytest.raises(ConfigError, match=r"feature levels(.|\n)*at most [35]"):
        frozen_backbone("resnet10t", 6, **options)


def test_the_original_networks_are_not_frozen_in_part():
    backbone = create_backbone("original-resnet-18", SIZE)
    freeze_stages(backbone, 0, SIZE, in_channels=3)
    with pytest.raises(ConfigError, match="original networks cannot be frozen"):
        freeze_stages(backbone, 1, SIZE, in_channels=3)
