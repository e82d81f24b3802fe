"""Initial weights of a timm network from a state dict: what fits is loaded, and what does not is listed.

Names are matched without the prefix that a wrapper has added to all of them, and with the help of timm's own converters
of foreign checkpoints. The first layer is adapted to the number of image channels.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import adapt_input_conv, model_entrypoint
from torch import Tensor, nn

from ggcam.errors import ConfigError, join_limited
from ggcam.models.weight_files import read_state_dict
from ggcam.utils.digest import file_sha256

MIN_FIT = 0.5
"""Fraction of a network's entries that a file must hold, in the right shape, to be accepted as its weights."""

_CONVERTERS = ("checkpoint_filter_fn", "_filter_torchvision_pretrained", "_filter_fn")
"""Names of the functions in timm's modules that rename and resize the entries of foreign checkpoints."""

_COUNTER = "num_batches_tracked"
"""End of the name of a buffer that old files lack; it counts the batches that a batch norm has seen."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class InitialWeights:
    """Which entries of a state dict a network started from, and which did not fit.

    Attributes:
        source: name of the file, or of the weights that timm provides.
        sha256: checksum of the file; empty for weights that timm provides.
        loaded: number of entries that were loaded.
        expected: number of entries of the network, without the counters of batch norms.
        prefix: what preceded all names in the file, such as "backbone.".
        adapted: entries that were adapted to the number of image channels.
        missing: entries of the network that the file does not hold; they keep their random initial values.
        other_shape: entries whose shape in the file differs, with both shapes; they keep their random initial values.
        unexpected: entries of the file that the network does not have in any form.
        unused: entries of the file for the classifier or for stages that were cut off.
    """

    source: str
    sha256: str = ""
    loaded: int = 0
    expected: int = 0
    prefix: str = ""
    adapted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    other_shape: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything that the network has was in the file, and the file held nothing foreign."""
        return not (self.missing or self.other_shape or self.unexpected)

    def summary(self) -> str:
        """Return what was loaded, and what did not fit, in one line.

        Example:
            >>> InitialWeights("a.pth", loaded=5, expected=6, missing=("fc1.bias",)).summary()
            'initial weights from a.pth: 5 of 6 entries; missing: fc1.bias'
        """
        parts = [
            f"initial weights from {self.source}"
            + (f": {self.loaded} of {self.expected} entries" * (self.expected > 0))
        ]
        names = {"missing": self.missing, "another shape": self.other_shape, "unexpected": self.unexpected}
        parts += [f"{what}: {join_limited(found)}" for what, found in names.items() if found]
        parts += [f"adapted to the number of channels: {join_limited(self.adapted)}"] if self.adapted else []
        return "; ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the entry `initial_weights` of params_<Net>_.txt."""
        return asdict(self)


def load_weight_file(
    trunk: nn.Module, name: str, path: Path, in_channels: int, kept: Iterable[str] | None = None
) -> InitialWeights:
    """Load what fits of a file of weights into a timm network without pooling and classifier.

    Args:
        trunk: the network, changed in place.
        name: its name in timm.
        path: the file, `.pth` or `.safetensors`; no code in it is run.
        in_channels: number of image channels of the network.
        kept: names of the entries that the network keeps when it is cut off after a stage; None for all.

    Returns:
        What was loaded, and what did not fit.

    Raises:
        ConfigError: less than half of the network's entries are in the file.
        WeightsError: the file is damaged, or holds something else than weights.
    """
    report = load_state_dict(trunk, name, read_state_dict(path), in_channels, kept, where=path)
    return replace(report, source=path.name, sha256=file_sha256(path))


def timm_source(trunk: Any) -> str:
    """Return what names the weights that timm has downloaded for a network, such as "timm/resnet18.a1_in1k".

    Args:
        trunk: network that timm has built.
    """
    config = trunk.pretrained_cfg
    return config.get("hf_hub_id") or config.get("url") or config.get("architecture") or "timm"


def load_state_dict(
    trunk: nn.Module,
    name: str,
    state: Mapping[str, Tensor],
    in_channels: int,
    kept: Iterable[str] | None = None,
    where: object = "the state dict",
) -> InitialWeights:
    """Load what fits of a state dict into a timm network without pooling and classifier.

    Args:
        trunk: the network, changed in place.
        name: its name in timm.
        state: name -> tensor.
        in_channels: number of image channels of the network. If the first layer of the file has another number, three
            channels are summed to one, and one channel is spread evenly over three.
        kept: names of the entries that the network keeps when it is cut off after a stage; None for all.
        where: origin of the state dict, for messages.

    Returns:
        What was loaded, and what did not fit; without the source.

    Raises:
        ConfigError: less than half of the network's entries are in the state dict.
    """
    own = {entry: tuple(value.shape) for entry, value in trunk.state_dict().items()}
    known = _complete_shapes(name, 1 if in_channels == 3 else 3)
    stems = {entry for entry, shape in own.items() if known.get(entry, shape) != shape and entry.endswith("weight")}

    def adapt(found: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
        fitting = {
            entry: _adapt_stem(value, own[entry], in_channels) for entry, value in found.items() if entry in stems
        }
        return {**found, **fitting}, tuple(entry for entry in sorted(fitting) if fitting[entry] is not found[entry])

    prefix = _common_prefix(state, {*own, *known})
    plain = {entry.removeprefix(prefix): value for entry, value in state.items() if entry.startswith(prefix)}
    candidates = [adapt(found) for found in (plain, *_converted(plain, trunk, name))]
    found, adapted = max(candidates, key=lambda candidate: _count_fitting(candidate[0], own))  # the first of equals
    fitting = {entry: value for entry, value in found.items() if own.get(entry) == tuple(value.shape)}
    foreign = tuple(entry for entry in state if not entry.startswith(prefix))

    kept = own.keys() if kept is None else set(kept)
    expected = [entry for entry in own if entry in kept and not entry.endswith(_COUNTER)]
    report = InitialWeights(
        source="",
        loaded=sum(entry in fitting for entry in expected),
        expected=len(expected),
        prefix=prefix,
        adapted=tuple(entry for entry in adapted if entry in fitting),
        missing=tuple(entry for entry in expected if entry not in found),
        other_shape=tuple(
            f"{entry} ({_text(found[entry].shape)} instead of {_text(own[entry])})"
            for entry in expected
            if entry in found and entry not in fitting
        ),
        unexpected=(*foreign, *(entry for entry in found if entry not in own and entry not in known)),
        unused=tuple(entry for entry in found if (entry in own or entry in known) and entry not in kept),
    )
    if report.loaded < MIN_FIT * report.expected:
        raise ConfigError(
            f"the file does not hold the weights of {name}",
            where=where,
            expected=f"entries such as {join_limited(sorted(own), 3)}",
            got=f"{report.loaded} of {report.expected} entries; {_misfit(report)}",
            hint="pass the weights of this network, or name the network that they belong to with --backbone",
        )
    trunk.load_state_dict(fitting, strict=False)
    return report


def _misfit(report: InitialWeights) -> str:
    if report.other_shape:
        return f"others in another shape, such as {join_limited(report.other_shape, 2)}"
    return f"others such as {join_limited(sorted(report.unexpected), 3)}"


def _common_prefix(found: Iterable[str], own: set[str]) -> str:
    """Return the prefix without which most names in a file are names of the network; the shortest of equals."""
    counts: Counter[str] = Counter()
    for name in found:
        parts = name.split(".")
        counts.update(".".join([*parts[:start], ""]) for start in range(len(parts)) if ".".join(parts[start:]) in own)
    return max(counts, key=lambda prefix: (counts[prefix], -len(prefix)), default="")


def _converted(state: dict[str, Tensor], trunk: nn.Module, name: str) -> list[dict[str, Tensor]]:
    """Return the entries as timm's converter of foreign checkpoints leaves them, if there is one that accepts them."""
    module = sys.modules[model_entrypoint(name).__module__]
    convert: Callable[..., Any] | None = next(filter(None, (getattr(module, each, None) for each in _CONVERTERS)), None)
    if convert is None:
        return []
    for arguments in ((dict(state), trunk), (dict(state),)):
        try:
            found = convert(*arguments)
        except Exception:  # a converter assumes the names of certain checkpoints, and fails for others
            continue
        if isinstance(found, dict) and all(isinstance(value, Tensor) for value in found.values()):
            return [found]
    return []


def _complete_shapes(name: str, in_channels: int) -> dict[str, Shape]:
    """Return name and shape of each entry of a network with its classifier; empty where it cannot be built so."""
    try:
        with torch.device("meta"):
            network = timm.create_model(name, in_chans=in_channels)
    except Exception:  # the code of a thousand networks raises anything
        return {}
    return {entry: tuple(value.shape) for entry, value in network.state_dict().items()}


def _adapt_stem(weight: Tensor, shape: Shape, in_channels: int) -> Tensor:
    """Adapt the weight of a first layer to the number of channels, if that is all in which it differs."""
    got = tuple(weight.shape)
    if got == shape or len(got) != 4 or (got[0], *got[2:]) != (shape[0], *shape[2:]):
        return weight
    try:
        return adapt_input_conv(in_channels, weight, base_chans=got[1] * in_channels // shape[1])
    except (NotImplementedError, AssertionError, ValueError):
        return weight


def _count_fitting(found: Mapping[str, Tensor], own: Mapping[str, Shape]) -> int:
    return sum(own.get(entry) == tuple(value.shape) for entry, value in found.items())


def _text(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape)) or "a number"
