"""Gradient checkpointing: most activations are not kept, but computed again on the way back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ggcam.errors import ConfigError


def checkpoint_gradients(backbone: Any) -> None:
    """Let a network keep only what passes from block to block: less memory, more time, the same values.

    Raises:
        ConfigError: it cannot.
    """
    try:
        backbone.set_grad_checkpointing(True)
    except (AttributeError, AssertionError) as error:
        raise ConfigError(
            "this network cannot compute its activations again",
            where="--checkpointing",
            got=str(error),
            hint="leave it out, and make the batch or the frame smaller",
        ) from error


@contextmanager
def running_statistics_kept(model: nn.Module) -> Iterator[None]:
    """Whatever is computed here does not count in batch norm's running statistics.

    On the way back the checkpointed blocks see their batch for the second time.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    try:
        for norm in norms:
            norm.momentum, norm.num_batches_tracked = 0.0, None
        yield
    finally:
        for norm, (momentum, tracked) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, tracked
