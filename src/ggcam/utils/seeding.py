"""Randomness that leaves the global generator as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def local_seed(seed: int) -> Iterator[None]:
    """Seed torch's generators inside the block, and put them back as they were behind it.

    Networks draw their first weights, and dropout its masks, from the global generator; there is no other way in.
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield
