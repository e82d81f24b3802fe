"""Which networks of timm cannot be a backbone, or only at some image sizes, and why.

The table is for the messages: `create_backbone` finds out for every network what it returns.
`python -m benchmarks.backbones` compares the table with what it finds out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase


def _never(height: int, width: int) -> bool:
    del height, width
    return False


@dataclass(frozen=True)
class Limit:
    """What some networks require.

    Attributes:
        names: patterns of their names.
        reason: why they cannot be a backbone.
        allows: whether they can be a backbone for images of this height and width in pixels.
    """

    names: tuple[str, ...]
    reason: str
    allows: Callable[[int, int], bool] = _never


LIMITS = (
    Limit(("coat_*", "crossvit_*"), "it returns several sets of tokens instead of a grid of features"),
    Limit(("efficientvim_*",), "it returns the features of several stages instead of a grid of features"),
    Limit(("pit_*",), "it returns its class token instead of a grid of features"),
    Limit(("volo_*",), "it returns its tokens in another layout than a grid of features"),
    Limit(("deepseek_vit_*_align", "qwen3_vit_*_merge"), "it merges its features for a language model"),
    Limit(("csatv2*",), "it needs colour images"),
    Limit(("efficientformer_l*",), "it needs images of 224x224 pixels", lambda height, width: height == width == 224),
    Limit(("mobilenetv5_*",), "it needs images of 512x512 pixels", lambda height, width: height == width == 512),
    Limit(("convit_*", "mvitv2_*", "nest_*"), "it needs square images", lambda height, width: height == width),
    Limit(
        ("mobilevitv2_*",),
        "the sides of the image must be multiples of 64 pixels",
        lambda height, width: height % 64 == width % 64 == 0,
    ),
    Limit(
        ("*halo*", "bat_resnext*"),
        "the sides of the image must be multiples of 256 pixels",
        lambda height, width: height % 256 == width % 256 == 0,
    ),
)
"""Limits by name."""


def find_limit(name: str) -> Limit | None:
    """Look up what a network requires.

    Args:
        name: name of a timm network.

    Returns:
        The limit; None for a network that accepts images of any size.
    """
    return next((limit for limit in LIMITS if any(fnmatchcase(name, pattern) for pattern in limit.names)), None)
