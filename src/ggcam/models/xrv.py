"""The pretrained chest X-ray networks of torchxrayvision, which are networks of timm with other weights.

Cohen et al., "TorchXRayVision: A library of chest X-ray datasets and models", MIDL 2022. The package itself is not
needed: its DenseNet-121 and ResNet-50 compute what timm's networks compute, and its weights are read without running
the code that its files of DenseNets hold. Importing this module downloads nothing.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import torch

from ggcam.errors import ConfigError

PREFIX = "xrv:"
"""How the names of these networks begin."""

MEAN, STD = 0.5, 2.0**-11
"""Mean and standard deviation by which pixels from 0 to 1 get the range of torchxrayvision, -1024 to 1024."""

CACHE = Path("~", ".torchxrayvision", "models_data")
"""Folder in which torchxrayvision keeps the weights that it has downloaded."""

_URL = "https://github.com/mlmed/torchxrayvision/releases/download/v1/"


@dataclass(frozen=True)
class XrvNetwork:
    """A pretrained network of torchxrayvision.

    Attributes:
        name: its name on the command line.
        timm_name: name of the same network in timm.
        file: name of the file of its weights.
    """

    name: str
    timm_name: str
    file: str

    @property
    def cached(self) -> Path:
        """The file in the cache of torchxrayvision; it may not exist."""
        return CACHE.expanduser() / self.file


def _densenet(name: str, data: str) -> XrvNetwork:
    file = f"{data}-densenet121-d121-tw-lr001-rot45-tr15-sc15-seed0-best.pt"
    return XrvNetwork(f"{PREFIX}densenet121-res224-{name}", "densenet121", file)


NETWORKS = {
    network.name: network
    for network in (
        _densenet("all", "nih-pc-chex-mimic_ch-google-openi-kaggle"),
        _densenet("nih", "nih"),
        _densenet("pc", "pc"),
        _densenet("chex", "chex"),
        _densenet("rsna", "kaggle"),
        _densenet("mimic_nb", "mimic_nb"),
        _densenet("mimic_ch", "mimic_ch"),
        XrvNetwork(f"{PREFIX}resnet50-res512-all", "resnet50", "pc-nih-rsna-siim-vin-resnet50-test512-e400-state.pt"),
    )
}
"""Networks by their name on the command line."""


def find_xrv_network(name: str) -> XrvNetwork | None:
    """Look up a network by its name on the command line.

    Args:
        name: name of a backbone.

    Returns:
        The network, or None if the name does not start with "xrv:".

    Raises:
        ConfigError: the name starts with "xrv:", and there is no such network.
    """
    if not name.startswith(PREFIX):
        return None
    if name not in NETWORKS:
        raise ConfigError(
            f"there is no network {name!r} of torchxrayvision",
            where="--backbone",
            expected=f"one of {', '.join(NETWORKS)}",
        )
    return NETWORKS[name]


def fetch_weights(network: XrvNetwork) -> Path:
    """Return the file of a network's weights: from the cache of torchxrayvision, or downloaded into it.

    Args:
        network: the network.

    Returns:
        The file.

    Raises:
        ConfigError: the file is not in the cache and cannot be downloaded.
    """
    path = network.cached
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:  # a file in the cache is whole
            torch.hub.download_url_to_file(_URL + network.file, f"{folder}/{network.file}", progress=False)
            os.replace(f"{folder}/{network.file}", path)
    except (URLError, OSError) as error:
        raise ConfigError(
            f"the weights of {network.name} could not be downloaded",
            where="--pretrained",
            expected=f"a network connection, or the file {path}",
            got=f"{error}"[:300],
            hint="pass a file of them with --weights",
        ) from error
    return path
