"""Gradient checkpointing: recompute most activations in the backward pass instead of storing them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ggcam.errors import ConfigError


def enable_gradient_checkpointing(backbone: Any) -> None:
    """Make a backbone store only the activations between its blocks: less memory, more time, the same values.

    Args:
        backbone: network to change.

    Raises:
        ConfigError: the network does not support gradient checkpointing.
    """
    try:
        backbone.set_grad_checkpointing(True)
    except (AttributeError, AssertionError) as error:
        raise ConfigError(
            "this network does not support gradient checkpointing",
            where="--checkpointing",
            got=str(error),
            hint="leave the option out, and reduce --batch-size or the size of the prepared images",
        ) from error


@contextmanager
def frozen_running_statistics(model: nn.Module) -> Iterator[None]:
    """Keep batch norm's running statistics unchanged inside the block.

    In the backward pass, checkpointed blocks see their batch for the second time.

    Args:
        model: model whose batch norms to freeze.
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
