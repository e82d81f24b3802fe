"""The pretrained weights that timm provides: which there are, and whether they can be downloaded."""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit
from urllib.request import getproxies

import timm
from huggingface_hub import try_to_load_from_cache

from ggcam.errors import ConfigError

_FILES = ("model.safetensors", "pytorch_model.bin")
"""Names under which the repositories hold the weights."""


def check_tag(name: str) -> None:
    """Check the tag of a name such as "resnet18.a1_in1k", which says which of several pretrained weights are meant.

    Args:
        name: name of a timm network, with or without a tag.

    Raises:
        ConfigError: timm does not know the tag.
    """
    network, _, tag = name.partition(".")
    known = list(timm.models.get_arch_pretrained_cfgs(network))
    if tag and name not in known:
        raise ConfigError(
            f"timm has no weights of {network} with the tag {tag!r}",
            where="--backbone",
            expected=f"{network}, or one of {', '.join(known)}" if known else network,
            got=name,
        )


def check_download(name: str) -> None:
    """Check that the weights of a timm network have been downloaded or can be, before a minute of vain attempts.

    Args:
        name: name of the network, with or without a tag.

    Raises:
        ConfigError: there are no such weights, or they have not been downloaded before, and the server cannot be
            reached.
    """
    config = timm.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        raise ConfigError(
            f"timm provides no weights for {name}",
            where="--pretrained",
            hint="pass a file of weights with --weights, or train from scratch",
        )
    repository = config.hf_hub_id
    if repository is None or any(isinstance(try_to_load_from_cache(repository, file), str) for file in _FILES):
        return
    server = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co").hostname
    if server is None or getproxies():  # a proxy looks the name up
        return
    try:
        socket.getaddrinfo(server, 443)
    except OSError as error:
        raise ConfigError(
            f"the weights of {name} could not be downloaded: there is no connection to Hugging Face",
            where="--pretrained",
            expected=f"a network connection, or the weights of {repository} in the cache of Hugging Face",
            got=f"{error}",
            hint="download model.safetensors of this repository elsewhere, and pass it with --weights",
        ) from error
