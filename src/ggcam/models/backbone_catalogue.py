"""The networks that can be a backbone: by family, and one by one for images of a given size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import timm
import torch
from timm.models import list_models, list_modules

from ggcam.errors import ConfigError
from ggcam.models.backbone_limits import find_limit
from ggcam.models.backbones import create_backbone
from ggcam.models.grid import feature_shape
from ggcam.models.original import NETWORKS
from ggcam.models.xrv import NETWORKS as XRV_NETWORKS

ORIGINAL, XRV = "original GG-CAM", "torchxrayvision"
"""Names of the families that are not modules of timm."""


@dataclass(frozen=True)
class Family:
    """A family of networks, which is a module of timm.

    Attributes:
        name: name of the module.
        networks: names of its networks.
    """

    name: str
    networks: tuple[str, ...]


@dataclass(frozen=True)
class BackboneInfo:
    """A network as a backbone for images of one size.

    Attributes:
        name: name of the network.
        parameters: number of its parameters, without the CAM head; None if it cannot be a backbone.
        grid: number of rows and columns of its CAM.
        stride: side of a cell in pixels.
        reason: why it cannot be a backbone; empty if it can.
    """

    name: str
    parameters: int | None = None
    grid: tuple[int, int] | None = None
    stride: int | None = None
    reason: str = ""


def list_families() -> list[Family]:
    """List all families, without building a network.

    Returns:
        The families of the original GG-CAM and of torchxrayvision, then those of timm in alphabetical order.
    """
    families = [Family(module, tuple(list_models(module=module))) for module in sorted(list_modules())]
    return [Family(ORIGINAL, tuple(NETWORKS)), Family(XRV, tuple(XRV_NETWORKS)), *families]


def find_networks(text: str) -> list[str]:
    """Find networks by their name.

    Args:
        text: part of the name, in lower case, or a pattern with * and ?.

    Returns:
        Names in alphabetical order, those of the original GG-CAM and of torchxrayvision first.
    """
    pattern = text if any(each in text for each in "*?") else f"*{text}*"
    others = [name for name in (*NETWORKS, *XRV_NETWORKS) if text in name]
    return others + timm.list_models(pattern)


def try_networks(names: list[str], image_size: tuple[int, int]) -> Iterator[BackboneInfo]:
    """Build networks without their weights, to find out whether and how they divide an image into cells.

    Args:
        names: names of the networks.
        image_size: height and width of the images in pixels.

    Yields:
        What was found out about each network.
    """
    for name in names:
        try:
            with torch.device("meta"):
                backbone = create_backbone(name, image_size)
        except ConfigError as error:
            limit = find_limit(name)
            yield BackboneInfo(name, reason=limit.reason if limit else error.what)
            continue
        _, _, rows, columns = feature_shape(backbone, image_size, in_channels=1)
        parameters = sum(parameter.numel() for parameter in backbone.parameters())
        yield BackboneInfo(name, parameters, (rows, columns), backbone.stride)
