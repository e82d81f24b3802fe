"""Freezing of the first stages of a network: no gradients, no dropout, and batch norms with fixed statistics."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch

from ggcam.errors import ConfigError
from ggcam.models.backbones import TimmBackbone
from ggcam.models.cam import FeatureExtractor
from ggcam.models.grid import size_in_whole_cells


def freeze_stages(backbone: FeatureExtractor, num_stages: int, image_size: tuple[int, int], in_channels: int) -> None:
    """Fix the parameters of the first stages of a backbone, which stay in evaluation mode from now on.

    What belongs to the stages is found out by a forward pass: every layer that computes their features, and every
    parameter that these depend on.

    Args:
        backbone: the network, changed in place.
        num_stages: number of feature levels to fix, as :func:`ggcam.models.backbones.create_backbone` counts them.
        image_size: height and width of the images in pixels.
        in_channels: number of image channels.

    Raises:
        ConfigError: the network cannot be divided into stages, or has fewer of them.
    """
    if num_stages == 0:
        return
    if not isinstance(backbone, TimmBackbone):
        raise ConfigError(
            "the original networks cannot be frozen in part", where="--freeze-stages", hint="leave the option out"
        )
    available = backbone.num_stages or len(backbone.trunk.feature_info)  # pyright: ignore[reportArgumentType]
    if num_stages > available:
        raise ConfigError(
            "the network does not have this number of feature levels",
            where="--freeze-stages",
            expected=f"at most {available}",
            got=num_stages,
        )
    layers, parameters = _used_by(backbone, num_stages, image_size, in_channels)
    for name in parameters:
        backbone.trunk.get_parameter(name).requires_grad_(False)
    backbone.frozen = tuple(backbone.trunk.get_submodule(name) for name in layers)
    backbone.train(backbone.training)


def _used_by(
    backbone: TimmBackbone, num_stages: int, image_size: tuple[int, int], in_channels: int
) -> tuple[list[str], list[str]]:
    """Return the names of the layers and of the parameters that the features of the first stages depend on."""
    trunk: Any = deepcopy(backbone.trunk).to("meta").eval()  # without values, which takes no time
    image = torch.empty(1, in_channels, *size_in_whole_cells(image_size, backbone.multiple_px), device="meta")
    layers: list[str] = []
    for name, module in trunk.named_modules():
        if not any(module.children()):
            module.register_forward_hook(lambda *_, name=name: layers.append(name))
    try:
        with torch.enable_grad():
            (features,) = trunk.forward_intermediates(
                image, indices=[num_stages - 1], norm=False, stop_early=True, intermediates_only=True
            )
            named = [(name, each) for name, each in trunk.named_parameters() if each.requires_grad]
            gradients = torch.autograd.grad(features.sum(), [each for _, each in named], allow_unused=True)
    except Exception as error:  # the code of a thousand networks raises anything
        raise ConfigError(
            "this network cannot be divided into stages",
            where="--freeze-stages",
            got=f"{type(error).__name__}: {error}"[:300],
            hint="leave the option out, and pass --backbone-lr-scale 0.1 to change pretrained weights slowly",
        ) from error
    return layers, [name for (name, _), gradient in zip(named, gradients, strict=True) if gradient is not None]
