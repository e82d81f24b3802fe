"""Weight files of the original GG-CAM's networks: read, recognise and write a `NET.pt`.

A weight file is a state dict: three scalars of the loss, then the network, then its CAM layer as a 1x1 convolution. A
:class:`~ggcam.models.cam.CAMClassifier` does not hold the scalars, because predictions do not need them. The functions
below read and write them separately; during training they belong to the guidance (:mod:`ggcam.guidance.original`).

Example:
    >>> model = load("NET.pt")  # doctest: +SKIP
    >>> model(torch.rand(1, 1, 1536, 1280)).cam.shape  # doctest: +SKIP
    torch.Size([1, 3, 48, 40])
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ggcam.errors import WeightsError, join_limited
from ggcam.models.cam import CAMClassifier
from ggcam.models.original import FAMILIES, NETWORKS, OriginalNetwork, create_classifier
from ggcam.models.weight_files import read_state_dict

LOSS_SCALARS = ("lg_sigma_classification", "lg_sigma_dissimilarity", "lg_k")
"""Names of the loss's scalars in a weight file: a, b and k of the paper's `sc = exp(a)`, `sd = exp(b)`, `exp(k)`."""

CAM_LAYER = "linear"
"""Name of the CAM layer in a weight file."""


def load(path: Path | str) -> CAMClassifier:
    """Load a `NET.pt` of the original; the parameters' names and shapes tell network, type and number of classes.

    Args:
        path: the weight file.

    Returns:
        The network in evaluation mode, on the CPU.

    Raises:
        MissingFileError: the file does not exist.
        WeightsError: the file does not hold exactly the weights of one of the original networks.
    """
    return identify(read_state_dict(path), where=path)[1].eval()


def load_as(network: OriginalNetwork, path: Path | str, num_classes: int | None = None) -> CAMClassifier:
    """Load a `NET.pt` of a known network.

    Args:
        network: network that the file must hold.
        path: the weight file.
        num_classes: number of classes that the file must have; None accepts any.

    Returns:
        The network in training mode, on the CPU.

    Raises:
        MissingFileError: the file does not exist.
        WeightsError: the file does not hold exactly the weights of this network.
    """
    state = read_state_dict(path)
    if num_classes is None and f"{CAM_LAYER}.bias" in state:
        num_classes = state[f"{CAM_LAYER}.bias"].numel()
    model = create_classifier(network, num_classes or 1)
    load_state_dict(model, state, where=path)
    return model


def identify(state: Mapping[str, Tensor], where: object = "the weights") -> tuple[OriginalNetwork, CAMClassifier]:
    """Identify the original network that a state dict belongs to, and load it.

    Args:
        state: state dict with the original's names.
        where: origin of the state dict, for error messages.

    Returns:
        The network, and a classifier with these weights.

    Raises:
        WeightsError: the state dict fits none of the networks exactly; the message compares it with the nearest one.
    """
    family = next((family for family in FAMILIES if family.stem_weight in state), None)
    bias = state.get(f"{CAM_LAYER}.bias")
    if family is None or bias is None or bias.ndim != 1:
        raise WeightsError(
            "these are not the weights of an original network",
            where=where,
            expected=f"{CAM_LAYER}.bias and {' or '.join(family.stem_weight for family in FAMILIES)} among the names",
            got=join_limited(state, 3) or "no names",
        )
    candidates = [network for network in NETWORKS.values() if network.family is family]
    with torch.device("meta"):  # shapes without values cost nothing
        models = [create_classifier(network, len(bias)) for network in candidates]
    mismatches = {
        network: _mismatches(_shapes(state), _shapes(original_state_dict(model)))
        for network, model in zip(candidates, models, strict=True)
    }
    network = min(mismatches, key=lambda network: len(mismatches[network]))
    if mismatches[network]:
        raise WeightsError(
            f"the weights fit none of the original networks; the nearest is {network.family.net} {network.type}",
            where=where,
            got=join_limited(mismatches[network], 3),
        )
    model = create_classifier(network, len(bias))
    load_state_dict(model, state, where)
    return network, model


def load_state_dict(model: CAMClassifier, state: Mapping[str, Tensor], where: object = "the weights") -> None:
    """Load a state dict with the original's names, strictly.

    Args:
        model: model to change, for which :func:`is_original` is true.
        state: state dict with the original's names.
        where: origin of the state dict, for error messages.

    Raises:
        WeightsError: the state dict belongs to another network, type or number of classes.
    """
    mismatches = _mismatches(_shapes(state), _shapes(original_state_dict(model)))
    if mismatches:
        raise WeightsError(
            "the weights belong to another network, another type or another number of classes",
            where=where,
            got=join_limited(mismatches, 3),
        )
    own_state = {}
    for name, value in state.items():
        if name not in LOSS_SCALARS:
            in_head = name.startswith(f"{CAM_LAYER}.")
            own_name = name.replace(CAM_LAYER, "head", 1) if in_head else f"backbone.{name}"
            own_state[own_name] = value.flatten(1) if own_name == "head.weight" else value
    model.load_state_dict(own_state)


def original_state_dict(model: CAMClassifier, scalars: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Return the state dict that the original GG-CAM would load, with its names in its order.

    Args:
        model: a network for which :func:`is_original` is true.
        scalars: scalars of the loss, with the names of :data:`LOSS_SCALARS`; a missing one becomes 0.

    Returns:
        Tensors by name.
    """
    values = {name: torch.zeros(()) for name in LOSS_SCALARS} | dict(scalars or {})
    return {
        **{name: values[name] for name in LOSS_SCALARS},
        **model.backbone.state_dict(),  # pyright: ignore[reportAttributeAccessIssue]  (an OriginalBackbone)
        f"{CAM_LAYER}.weight": model.head.weight.detach()[:, :, None, None],
        f"{CAM_LAYER}.bias": model.head.bias.detach(),
    }


def scalars_in_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the scalars of the loss from a state dict with the original's names.

    Args:
        state: state dict of an original network.

    Returns:
        Tensors without dimensions, with the names of :data:`LOSS_SCALARS`.
    """
    return {name: state[name] for name in LOSS_SCALARS}


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}


def _mismatches(found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Describe how names and shapes differ from the expected ones."""
    return [
        *(f"{name} is missing" for name in expected if name not in found),
        *(f"{name} is unknown" for name in found if name not in expected),
        *(
            f"{name} has shape {list(shape)} instead of {list(expected[name])}"
            for name, shape in found.items()
            if name in expected and shape != expected[name]
        ),
    ]
