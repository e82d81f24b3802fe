"""Seeding without a lasting effect on torch's global generators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def local_seed(seed: int) -> Iterator[None]:
    """Seed torch's global generators inside the block, and restore their state afterwards.

    Weight initialisation and dropout draw from the global generators and accept no generator of their own.

    Args:
        seed: seed of the CPU's and every GPU's generator.

    Example:
        >>> with local_seed(0):
        ...     first = torch.rand(1)
        >>> with local_seed(0):
        ...     assert torch.rand(1) == first
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield
