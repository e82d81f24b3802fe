"""The networks of the original GG-CAM by name, and how to create them; `original_weights` reads and writes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ggcam.errors import ConfigError
from ggcam.models.cam import CAMClassifier, CAMHead
from ggcam.models.original_nets import (
    EFFNET_STAGES,
    RESNET_BLOCKS,
    OriginalBackbone,
    OriginalEffNet,
    OriginalResNet,
)
from ggcam.utils.aliases import canonical_name


@dataclass(frozen=True)
class Family:
    """One of the two network architectures of the original GG-CAM.

    Attributes:
        net: class name in the original code, as in `params_<Net>_.txt`.
        results: name in the folder of results.
        cli_name: name on the command line.
        types: the original's names of the sizes.
        create: function that builds the backbone of a given type.
        stem_weight: name of a parameter that only this family's weight files contain.
    """

    net: str
    results: str
    cli_name: str
    types: tuple[str, ...]
    create: Callable[[str], OriginalBackbone]
    stem_weight: str


# '50' comes before '34': they are the same network, and `identify` should report the original's default.
_SIZES = ("50", *(type for type in RESNET_BLOCKS if type != "50"))
FAMILIES = (
    Family("ResCAMNet", "RNetCAM", "resnet", _SIZES, OriginalResNet, "layer.input_conv2d.weight"),
    Family("EffCAMNet", "ENetCAM", "effnet", tuple(EFFNET_STAGES), OriginalEffNet, "features.0.weight"),
)


class OriginalNetwork(NamedTuple):
    """A network of the original GG-CAM.

    Attributes:
        family: its architecture.
        type: its size, such as "50" or "S".
    """

    family: Family
    type: str

    @property
    def backbone(self) -> str:
        """Name on the command line, such as "original-resnet-50"."""
        return f"original-{self.family.cli_name}-{self.type.lower()}"


NETWORKS = {
    network.backbone: network
    for network in (OriginalNetwork(family, type) for family in FAMILIES for type in family.types)
}
"""Original networks by their name on the command line."""


def find_network(backbone: str) -> OriginalNetwork | None:
    """Look up an original network by its name on the command line.

    Args:
        backbone: name of a backbone, in upper or lower case; "released-..." is an alias of "original-...".

    Returns:
        The network, or None if the name does not start with "original".

    Raises:
        ConfigError: the name starts with "original", and no such network exists.
    """
    name = canonical_name(backbone).lower()
    if not name.startswith("original"):
        return None
    if name not in NETWORKS:
        raise ConfigError(
            f"there is no original network {backbone!r}", where="--backbone", expected=f"one of {', '.join(NETWORKS)}"
        )
    return NETWORKS[name]


def network_from_params(net: str, type: str) -> OriginalNetwork | None:
    """Look up an original network by the names that `params_<Net>_.txt` uses.

    Args:
        net: class name, such as "ResCAMNet".
        type: size, such as "50".

    Returns:
        The network, or None if the original has no such network.
    """
    return next((network for network in NETWORKS.values() if (network.family.net, network.type) == (net, type)), None)


def create_classifier(network: OriginalNetwork, num_classes: int = 3) -> CAMClassifier:
    """Build an original network with fresh weights.

    Its CAM takes the mean over channels, and its images are divided by their own maximum.

    Args:
        network: the network to build.
        num_classes: number of classes.

    Returns:
        The classifier, in training mode.
    """
    backbone = network.family.create(network.type)
    return CAMClassifier(backbone, num_classes, reduction="mean", mean=0.0, std=1.0, scale_by="image")


def check_options(output_stride: int | None, pretrained: bool, num_stages: int | None = None) -> None:
    """Check that the options of a backbone are available for the original networks.

    Args:
        output_stride: stride of the features in pixels; None for the native one.
        pretrained: whether to download pretrained weights.
        num_stages: number of stages to keep; None for all.

    Raises:
        ConfigError: an option asks for another grid, pretrained weights, or a part of the network.
    """
    if num_stages is not None:
        raise ConfigError(
            "the original networks cannot be shortened",
            where="--num-stages",
            got=num_stages,
            hint="leave the option out",
        )
    if output_stride not in (None, OriginalBackbone.stride):
        raise ConfigError(
            "the original networks have a fixed output stride",
            where="--output-stride",
            expected=OriginalBackbone.stride,
            got=output_stride,
        )
    if pretrained:
        raise ConfigError(
            "there are no pretrained weights for the original networks",
            where="--pretrained",
            hint="pass your own NET.pt with --weights",
        )


def is_original(model: CAMClassifier) -> bool:
    """Tell whether a weight file of the original GG-CAM can hold a model.

    Args:
        model: the model; a guidance may have replaced its head.

    Returns:
        True for an original network with its own kind of CAM head.
    """
    return (
        isinstance(model.backbone, OriginalBackbone) and type(model.head) is CAMHead and model.head.reduction == "mean"
    )
