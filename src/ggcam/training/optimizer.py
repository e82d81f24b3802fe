"""The optimizer of a training run, with a learning rate of its own for the backbone."""

from __future__ import annotations

from typing import Any

import torch
from timm.optim import (
    create_optimizer_v2,  # pyright: ignore[reportPrivateImportUsage]  (public all the same)
    param_groups_weight_decay,  # pyright: ignore[reportPrivateImportUsage]
)
from torch import nn

from ggcam.models.cam import CAMClassifier
from ggcam.training.config import TrainConfig


def create_optimizer(module: nn.Module, model: CAMClassifier, config: TrainConfig) -> torch.optim.Optimizer:
    """Create the optimizer of everything that is trained; frozen parameters are not part of it.

    Args:
        module: the training module: network and guidance.
        model: the network in it, whose backbone is trained with `config.backbone_lr_scale` times the learning rate.
        config: options of the training.

    Returns:
        The optimizer; the learning rate of its first group is that of everything but the backbone.
    """
    parameters: Any = module if config.backbone_lr_scale == 1 else _groups(module, model, config)
    optimizer = create_optimizer_v2(
        parameters,
        opt=config.optimizer,
        lr=config.lr,
        weight_decay=config.weight_decay,
        filter_bias_and_bn=True,
        fused=True,
    )
    # Lightning refuses to clip for an optimizer that may unscale gradients; here no gradient is scaled.
    optimizer._step_supports_amp_scaling = False  # pyright: ignore[reportAttributeAccessIssue]
    return optimizer


def _groups(module: nn.Module, model: CAMClassifier, config: TrainConfig) -> list[dict[str, Any]]:
    """Divide the groups with and without weight decay into the backbone's parameters and all others."""
    scaled = {id(parameter) for name, parameter in model.named_parameters() if name.startswith("backbone.")}
    found = [
        {
            **group,
            "params": [each for each in group["params"] if (id(each) in scaled) == in_backbone],
            "lr": config.lr * (config.backbone_lr_scale if in_backbone else 1),
        }
        for in_backbone in (False, True)
        for group in param_groups_weight_decay(module, config.weight_decay)
    ]
    return [group for group in found if group["params"]]
