"""The networks of the original GG-CAM by name, and the files of weights that pass between it and this package.

Such a file, `NET.pt`, is a state dict: three scalars of the loss, then the network, then its CAM layer as a 1x1
convolution. The scalars play no part in a prediction, so a :class:`CAMClassifier` does not hold them: whoever reads or
writes a file has them beside the network (in training they are the guidance's, see `ggcam.guidance.original`).

Example:
    >>> model = load("NET.pt")  # doctest: +SKIP
    >>> model(torch.rand(1, 1, 1536, 1280)).cam.shape  # doctest: +SKIP
    torch.Size([1, 3, 48, 40])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ggcam.errors import ConfigError, MissingFileError, WeightsError, join_limited
from ggcam.models.cam import CAMClassifier, CAMHead
from ggcam.models.original_nets import (
    EFFNET_STAGES,
    RESNET_BLOCKS,
    OriginalBackbone,
    OriginalEffNet,
    OriginalResNet,
)

SCALARS = ("lg_sigma_classification", "lg_sigma_dissimilarity", "lg_k")
"""Names in a file of the loss's scalars: a, b and k of the paper's `sc = exp(a)`, `sd = exp(b)`, `exp(k)`."""

CAM_LAYER = "linear"
"""Name in a file of the CAM layer."""


@dataclass(frozen=True)
class Family:
    """One of the two networks.

    Attributes:
        net: the original's name of it, as in `params_<Net>_.txt`.
        results: its name in the folder of results.
        word: its name on the command line.
        types: the original's names of its sizes.
        create: builds the backbone of a type.
        stem: name in a file that tells it from the other.
    """

    net: str
    results: str
    word: str
    types: tuple[str, ...]
    create: Callable[[str], OriginalBackbone]
    stem: str


# '50' before '34': they are one network, and the original's default shall be found in its files.
_SIZES = ("50", *(type for type in RESNET_BLOCKS if type != "50"))
FAMILIES = (
    Family("ResCAMNet", "RNetCAM", "resnet", _SIZES, OriginalResNet, "layer.input_conv2d.weight"),
    Family("EffCAMNet", "ENetCAM", "effnet", tuple(EFFNET_STAGES), OriginalEffNet, "features.0.weight"),
)


class OriginalNetwork(NamedTuple):
    """An original network.

    Attributes:
        family: which of the two.
        type: its size, such as "50" or "S".
    """

    family: Family
    type: str

    @property
    def backbone(self) -> str:
        """Its name on the command line."""
        return f"original-{self.family.word}-{self.type.lower()}"


NETWORKS = {network.backbone: network for network in (OriginalNetwork(f, type) for f in FAMILIES for type in f.types)}
"""Name on the command line -> network."""


def find(backbone: str) -> OriginalNetwork | None:
    """The original network of this name, in capitals or not; None for a name that speaks of no original network.

    Raises:
        ConfigError: it speaks of one that does not exist.
    """
    if not backbone.lower().startswith("original"):
        return None
    if backbone.lower() not in NETWORKS:
        raise ConfigError(
            f"there is no original network {backbone!r}", where="--backbone", expected=f"one of {', '.join(NETWORKS)}"
        )
    return NETWORKS[backbone.lower()]


def named(net: str, type: str) -> OriginalNetwork | None:
    """The original network of this class and type, as `params_<Net>_.txt` has them; None if there is none."""
    return next((each for each in NETWORKS.values() if (each.family.net, each.type) == (net, type)), None)


def create_classifier(network: OriginalNetwork, num_classes: int = 3) -> CAMClassifier:
    """A fresh original network: a mean over channels in its CAM, and images divided by their own maximum."""
    backbone = network.family.create(network.type)
    return CAMClassifier(backbone, num_classes, reduction="mean", mean=0.0, std=1.0, white="image")


def check_plain(output_stride: int | None, pretrained: bool, num_stages: int | None = None) -> None:
    """Demand nothing that the original's networks cannot have.

    Raises:
        ConfigError: a finer grid, pretrained weights, or less than the whole network.
    """
    if num_stages is not None:
        raise ConfigError(
            "the original's networks are whole", where="--num-stages", got=num_stages, hint="leave it out"
        )
    if output_stride not in (None, OriginalBackbone.stride):
        raise ConfigError(
            "the original's networks have one stride",
            where="--output-stride",
            expected=OriginalBackbone.stride,
            got=output_stride,
        )
    if pretrained:
        raise ConfigError(
            "there are no pretrained weights of the original's networks",
            where="--pretrained",
            hint="pass a NET.pt of your own with --weights",
        )


def is_original(model: CAMClassifier) -> bool:
    """Whether a file of the original's can hold this network: a guidance may have given it another head."""
    return (
        isinstance(model.backbone, OriginalBackbone) and type(model.head) is CAMHead and model.head.reduction == "mean"
    )


def load(path: Path | str) -> CAMClassifier:
    """Load a `NET.pt` of the original; network, type and number of classes follow from its names and shapes.

    Returns:
        The network in evaluation mode, on the CPU.

    Raises:
        MissingFileError: there is no such file.
        WeightsError: it is no file of weights, or not exactly the weights of one of the original's networks.
    """
    return recognise(read_state(path), where=path)[1].eval()


def load_as(network: OriginalNetwork, path: Path | str, num_classes: int | None = None) -> CAMClassifier:
    """Load a `NET.pt` that must be of this network, and have so many classes if they are given; as :func:`load`."""
    state = read_state(path)
    if num_classes is None and f"{CAM_LAYER}.bias" in state:
        num_classes = state[f"{CAM_LAYER}.bias"].numel()
    model = create_classifier(network, num_classes or 1)
    fill(model, state, where=path)
    return model


def read_state(path: Path | str) -> dict[str, Tensor]:
    """Read a file of weights, tensors and nothing else: no code in it is run.

    Raises:
        MissingFileError: there is no such file.
        WeightsError: it is damaged, or holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError("the file of weights is not there", where=path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for a damaged file
        raise WeightsError(
            "the file is damaged, or holds more than weights",
            where=path,
            expected="a state dict that torch.save wrote",
            got=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:300],
        ) from error
    if not isinstance(state, dict) or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise WeightsError(
            "the file holds no weights",
            where=path,
            expected="a state dict: a name and a tensor for each parameter",
            got=type(state).__name__,
            hint="save model.state_dict(), not the model",
        )
    return dict(state)


def recognise(state: Mapping[str, Tensor], where: object = "the weights") -> tuple[OriginalNetwork, CAMClassifier]:
    """Find out which original network a state dict is of, and fill one with it.

    Raises:
        WeightsError: it is not exactly that of one of them; the nearest one says what is wrong.
    """
    family = next((each for each in FAMILIES if each.stem in state), None)
    bias = state.get(f"{CAM_LAYER}.bias")
    if family is None or bias is None or bias.ndim != 1:
        raise WeightsError(
            "the file holds the weights of another network than the original's",
            where=where,
            expected=f"{CAM_LAYER}.bias and {' or '.join(each.stem for each in FAMILIES)} among the names",
            got=join_limited(state, 3) or "no names",
        )
    with torch.device("meta"):  # shapes alone, which cost nothing
        found = [(each, create_classifier(each, len(bias))) for each in NETWORKS.values() if each.family is family]
    faults = {network: _faults(_shapes(state), _shapes(state_of(model))) for network, model in found}
    network = min(faults, key=lambda each: len(faults[each]))
    if faults[network]:
        raise WeightsError(
            f"the file fits no network of the original's; the nearest is {network.family.net} {network.type}",
            where=where,
            got=join_limited(faults[network], 3),
        )
    model = create_classifier(network, len(bias))
    fill(model, state, where)
    return network, model


def fill(model: CAMClassifier, state: Mapping[str, Tensor], where: object = "the weights") -> None:
    """Load a state dict of the original's, strictly, into a network for which :func:`is_original` holds.

    Raises:
        WeightsError: it is of another network, type or number of classes.
    """
    faults = _faults(_shapes(state), _shapes(state_of(model)))
    if faults:
        raise WeightsError(
            "the weights are of another network, another type or another number of classes",
            where=where,
            got=join_limited(faults, 3),
        )
    ours = {}
    for name, value in state.items():
        if name not in SCALARS:
            head = name.startswith(f"{CAM_LAYER}.")
            own = name.replace(CAM_LAYER, "head", 1) if head else f"backbone.{name}"
            ours[own] = value.flatten(1) if own == "head.weight" else value
    model.load_state_dict(ours)


def state_of(model: CAMClassifier, scalars: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The state dict that the original would load: its names, its order.

    Args:
        model: a network for which :func:`is_original` holds.
        scalars: of the loss, by the names of :data:`SCALARS`; 0 for one that is not given.
    """
    known = {name: torch.zeros(()) for name in SCALARS} | dict(scalars or {})
    return {
        **{name: known[name] for name in SCALARS},
        **model.backbone.state_dict(),  # pyright: ignore[reportAttributeAccessIssue]  (a OriginalBackbone)
        f"{CAM_LAYER}.weight": model.head.weight.detach()[:, :, None, None],
        f"{CAM_LAYER}.bias": model.head.bias.detach(),
    }


def scalars_of(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The loss's scalars in a state dict of the original's."""
    return {name: state[name] for name in SCALARS}


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}


def _faults(found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]) -> list[str]:
    """What is wrong with names and shapes, in words."""
    return [
        *(f"{name} is missing" for name in wanted if name not in found),
        *(f"{name} is not known" for name in found if name not in wanted),
        *(
            f"{name} has shape {list(shape)} instead of {list(wanted[name])}"
            for name, shape in found.items()
            if name in wanted and shape != wanted[name]
        ),
    ]
