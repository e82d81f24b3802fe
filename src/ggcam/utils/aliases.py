"""Other names for the same thing: `released` for `original`, and the Hugging Face names of timm's networks."""

from __future__ import annotations

import re
from collections.abc import Sequence

_CHOICE_OPTIONS = ("--preset", "--format")
"""Options with a fixed list of choices, which the parser checks before any other code sees the value."""


def canonical_name(name: str) -> str:
    """Replace the word "released" in a name by "original"; other names stay as they are.

    Args:
        name: name of a guidance, network, preset, source or file format, with its words joined by hyphens.

    Returns:
        The current name.

    Example:
        >>> canonical_name("released-resnet-50"), canonical_name("effnet-released"), canonical_name("ggcam-cc")
        ('original-resnet-50', 'effnet-original', 'ggcam-cc')
    """
    return re.sub(r"(^|-)released(?=-|$)", r"\1original", name, flags=re.IGNORECASE)


def canonical_backbone(name: str) -> str:
    """Return the name of a backbone without the words that only say where its weights are published.

    Args:
        name: name of a backbone.

    Returns:
        The current name; of a repository of timm on Hugging Face, timm's own name.

    Example:
        >>> canonical_backbone("hf-hub:timm/resnet18.a1_in1k"), canonical_backbone("released-resnet-50")
        ('resnet18.a1_in1k', 'original-resnet-50')
    """
    return canonical_name(re.sub(r"^(hf[-_]hub:)?timm/", "", name))


def canonical_arguments(arguments: Sequence[str]) -> list[str]:
    """Apply :func:`canonical_name` to the names of options, and to the values of those with a fixed list of choices.

    Args:
        arguments: command line without the name of the program.

    Returns:
        The command line with current names.

    Example:
        >>> canonical_arguments(["train", "DATA", "--preset", "effnet-released", "--name=released"])
        ['train', 'DATA', '--preset', 'effnet-original', '--name=released']
    """
    renamed: list[str] = []
    previous = ""
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        if flag.startswith("--"):
            flag = canonical_name(flag)
            renamed.append(flag + equals + (canonical_name(value) if flag in _CHOICE_OPTIONS else value))
        else:
            renamed.append(canonical_name(argument) if previous in _CHOICE_OPTIONS else argument)
        previous = argument
    return renamed
