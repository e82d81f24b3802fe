"""Randomness that leaves the global generator as it was."""

import torch

from ggcam.utils.seeding import local_seed


def test_the_block_is_seeded_and_the_world_outside_is_not():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with local_seed(1):
        first = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with local_seed(1):
        assert torch.equal(torch.rand(3), first)
    with local_seed(2):
        assert not torch.equal(torch.rand(3), first)
