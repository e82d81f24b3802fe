"""A device draws the attention maps that the CPU draws in double precision."""

from __future__ import annotations

import torch

from ggcam.gaze.maps import attention_maps


def test_attention_maps(device):
    """Of more points than the CPU draws at once, some of them padding, and of a case without gaze."""
    random = torch.Generator().manual_seed(0)
    points = torch.rand(6, 3000, 2, generator=random) * torch.tensor([1400.0, 1700.0]) - 50
    weight = torch.rand(6, 3000, generator=random)
    weight[:, 2900:] = 0
    weight[5] = 0
    sigma = torch.rand(6, 3000, 2, generator=random) * 60 + 20
    for grid in ((48, 40), (16, 14)):
        expected = attention_maps(points.double(), weight.double(), sigma.double(), (1536, 1280), grid)
        found = attention_maps(points.to(device), weight.to(device), sigma.to(device), (1536, 1280), grid)
        assert found.device.type == device
        torch.testing.assert_close(found.cpu().double(), expected, rtol=1e-4, atol=1e-7)
        assert (found[5] == 0).all()
