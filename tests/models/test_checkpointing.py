"""Gradient checkpointing changes neither gradients nor batch norm's running statistics."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ggcam.errors import ConfigError
from ggcam.models.backbones import create_backbone
from ggcam.models.checkpointing import enable_gradient_checkpointing, frozen_running_statistics


@pytest.mark.parametrize("name", ["original-resnet-18", "original-effnet-s", "test_resnet", "test_efficientnet"])
def test_gradients_and_running_statistics_equal_those_without_checkpointing(name):
    plain = create_backbone(name, (64, 64)).train()
    checkpointed = copy.deepcopy(plain)
    enable_gradient_checkpointing(checkpointed)
    image, num_saved = torch.rand(2, 1, 64, 64), []
    for backbone in (plain, checkpointed):
        saved: set[int] = set()
        with torch.autograd.graph.saved_tensors_hooks(lambda x, saved=saved: saved.add(x.data_ptr()) or x, lambda x: x):
            loss = backbone(image).square().mean()
        num_saved.append(len(saved))
        with frozen_running_statistics(backbone):
            loss.backward()
    assert num_saved[1] < num_saved[0] / 2
    for found, expected in zip(checkpointed.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad)
    for (name, found), expected in zip(checkpointed.named_buffers(), plain.buffers(), strict=True):
        assert torch.equal(found, expected), name
    norms = [module for module in checkpointed.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert all(norm.num_batches_tracked == 1 for norm in norms)


def test_a_network_without_checkpointing_is_refused():
    with pytest.raises(ConfigError, match="does not support gradient checkpointing"):
        enable_gradient_checkpointing(nn.Conv2d(1, 1, 1))
