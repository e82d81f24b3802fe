"""What is computed again on the way back is the same, and counts once."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ggcam.errors import ConfigError
from ggcam.models.backbones import create_backbone
from ggcam.models.checkpointing import checkpoint_gradients, running_statistics_kept


@pytest.mark.parametrize("name", ["original-resnet-18", "original-effnet-s", "test_resnet", "test_efficientnet"])
def test_gradients_and_running_statistics_are_those_of_a_network_that_keeps_all(name):
    keeps = create_backbone(name, (64, 64)).train()
    again = copy.deepcopy(keeps)
    checkpoint_gradients(again)
    image, kept = torch.rand(2, 1, 64, 64), []
    for backbone in (keeps, again):
        held: set[int] = set()
        with torch.autograd.graph.saved_tensors_hooks(lambda x, held=held: held.add(x.data_ptr()) or x, lambda x: x):
            loss = backbone(image).square().mean()
        kept.append(len(held))
        with running_statistics_kept(backbone):
            loss.backward()
    assert kept[1] < kept[0] / 2
    for a, b in zip(keeps.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)
    for (name, a), b in zip(keeps.named_buffers(), again.buffers(), strict=True):
        assert torch.equal(a, b), name
    counted = [module.num_batches_tracked for module in again.modules() if isinstance(module, nn.BatchNorm2d)]
    assert counted
    assert all(number == 1 for number in counted)


def test_a_network_that_cannot_says_so():
    with pytest.raises(ConfigError, match="cannot compute its activations again"):
        checkpoint_gradients(nn.Conv2d(1, 1, 1))
