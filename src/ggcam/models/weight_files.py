"""Weight files, which are read without running any code in them: `.pt` and `.pth` files of torch, or safetensors."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ggcam.errors import MissingFileError, WeightsError
from ggcam.models.pickled_networks import read_pickled_network
from ggcam.utils.safe_pickle import load_pt

_WRAPPERS = (
    *("state_dict_ema", "model_ema", "ema_state_dict"),
    *("state_dict", "model_state_dict", "model", "net", "network", "teacher", "student", "encoder", "backbone"),
)
"""Keys under which training scripts keep the state dict in a checkpoint; averaged weights come first, as in timm."""

_PREFIXES = ("_orig_mod.", "module.", "_orig_mod.")
"""Prefixes that compiled and distributed networks add to the names, in either order."""


def read_state_dict(path: Path | str, *, checksums: bool = False) -> dict[str, Tensor]:
    """Read a state dict from a file of weights, or from a checkpoint of a training script that holds one.

    Args:
        path: file written by `torch.save`, or a safetensors file. A network that was pickled whole is read as well; see
            :mod:`ggcam.models.pickled_networks`.
        checksums: whether to check the checksums of a file written by `torch.save`.

    Returns:
        Tensors by name, on the CPU; without the prefixes of compiled and distributed networks.

    Raises:
        MissingFileError: the file does not exist.
        WeightsError: the file is damaged, or holds anything else than named tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError("the weight file does not exist", where=path)
    state = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pt(path, checksums)
    while isinstance(state, dict):
        inner = next((state[key] for key in _WRAPPERS if isinstance(state.get(key), dict)), None)
        if inner is None:
            break
        state = inner
    if (
        not isinstance(state, dict)
        or not state
        or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items())
    ):
        raise WeightsError(
            "the file does not hold weights",
            where=path,
            expected="a state dict: a name and a tensor for each parameter",
            got=type(state).__name__,
            hint="save model.state_dict(), not the model",
        )
    return {_without_prefixes(name): value for name, value in state.items()}


def _read_pt(path: Path, checksums: bool) -> Any:
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # timm's checkpoints hold their options, too
            return load_pt(path, WeightsError, "tensors", checksums=checksums)
    except WeightsError as error:
        if checksums:  # a file of ggcam's own, which holds tensors only
            raise
        try:
            return read_pickled_network(path)
        except WeightsError:
            raise error from None


def _read_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise WeightsError("the file is damaged", where=path, expected="safetensors", got=error) from None


def _without_prefixes(name: str) -> str:
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name
