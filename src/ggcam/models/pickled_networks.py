"""Weights of networks that were pickled whole, read as data: no code in the file or of its classes is run.

`torch.save(network)` stores the network's classes by name, and its parameters in the dictionaries of its modules. Here
each class is replaced by a stand-in that only keeps such dictionaries, so its package need not even be installed.
torchxrayvision's DenseNets are stored like this.
"""

from __future__ import annotations

import pickle
import tarfile
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from ggcam.errors import WeightsError
from ggcam.utils.safe_pickle import NOTHING_RAN

PACKAGES = ("torch", "torchvision", "torchxrayvision", "timm", "lightning", "pytorch_lightning", "argparse", "pathlib")
"""Packages whose classes and functions get stand-ins. A file that names others is refused."""

_CONTAINERS: Mapping[str, Callable[..., Any]] = {
    "collections.OrderedDict": OrderedDict,
    "builtins.set": set,
    "__builtin__.set": set,
    "torch.Size": tuple,
}
"""What else a file may name: containers without any behaviour."""


def read_pickled_network(path: Path) -> object:
    """Read a file in which a training script has pickled a network, alone or in containers.

    Args:
        path: the file.

    Returns:
        Content of the file, on the CPU, with a state dict in place of each network.

    Raises:
        WeightsError: the file names a class or function of a package that is not in :data:`PACKAGES`, or is damaged.
    """
    unpickling: Any = SimpleNamespace(
        __name__="pickle", Unpickler=_Unpickler, load=lambda file, **_: _Unpickler(file).load()
    )
    try:
        _check_format(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, about sources that have changed
            found = torch.load(path, map_location="cpu", weights_only=False, pickle_module=unpickling)
        return _with_state_dicts(found)
    except _ForbiddenError as error:
        raise WeightsError(
            "the file contains more than weights",
            where=path,
            expected=f"tensors and networks of {', '.join(PACKAGES[:4])}",
            got=error,
            hint=NOTHING_RAN,
        ) from None
    except (WeightsError, FileNotFoundError, MemoryError):
        raise
    except Exception as error:  # the instructions of a damaged pickle may raise anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsError("the file is truncated or damaged", where=path, got=reason) from None


class _ForbiddenError(Exception):
    """Carries the name of what a file must not contain."""


class _StandIn:
    """Takes the place of an object of any class: keeps its attributes, and ignores everything else."""

    attributes: dict[str, Any]

    def __new__(cls, *_: object, **__: object) -> _StandIn:
        found = object.__new__(cls)
        found.attributes = {}
        return found

    def __init__(self, *_: object, **__: object):
        pass

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.attributes = state

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, value: object) -> None:
        pass

    def extend(self, values: object) -> None:
        pass

    def add(self, value: object) -> None:
        pass


class _Unpickler(pickle.Unpickler):
    """An unpickler that finds tensors, containers and stand-ins only."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a class or function that the file names."""
        full = f"{module}.{name}"
        if full in _CONTAINERS:
            return _CONTAINERS[full]
        if full in ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor"):
            return _rebuild_tensor
        if full == "torch._utils._rebuild_parameter":
            return _rebuild_parameter
        if module.partition(".")[0] in PACKAGES:
            return type("StandIn", (_StandIn,), {})
        raise _ForbiddenError(full)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, _without_sources(value) if name == "persistent_load" else value)


def _without_sources(load: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Wrap torch's reader of storages, which would compare the source code in old files with that of the class."""

    def persistent_load(key: Any) -> Any:
        return key[1] if isinstance(key, tuple) and key[0] in ("module", b"module") else load(key)

    return persistent_load


def _rebuild_tensor(storage: Any, offset: int, size: Any, stride: Any, *_: object) -> Tensor:
    return torch._utils._rebuild_tensor(storage, offset, tuple(size), tuple(stride))  # pyright: ignore[reportAttributeAccessIssue]


def _rebuild_parameter(data: Tensor, *_: object) -> Tensor:
    return data


def _check_format(path: Path) -> None:
    """Refuse the two formats that torch reads in other ways, where the file decides what is called or written."""
    with path.open("rb") as file:
        is_zip = file.read(4) == b"PK\x03\x04"
    # By torch's own reader of archives, which decides by the same name: another reader could be made to see others.
    torchscript = is_zip and "constants.pkl" in torch._C.PyTorchFileReader(str(path)).get_all_records()
    if torchscript or tarfile.is_tarfile(path):
        raise WeightsError(
            "the file is a TorchScript network or in the format of torch before 0.2, which cannot be read safely",
            where=path,
            expected="a state dict, or a network that `torch.save` has written",
            hint="save model.state_dict() in the program that can open it",
        )


def _with_state_dicts(found: object) -> object:
    """Replace each network in nested dictionaries by its state dict."""
    if isinstance(found, _StandIn):
        return dict(_entries(found, ""))
    if isinstance(found, dict):
        return {key: _with_state_dicts(value) for key, value in found.items()}
    return found


def _entries(module: _StandIn, prefix: str, around: tuple[_StandIn, ...] = ()) -> Iterator[tuple[str, Tensor]]:
    """Yield the names and tensors of a module and the modules in it, as its own `state_dict` would."""
    if any(module is each for each in around):
        raise ValueError("a module holds itself")
    for kind in ("_parameters", "_buffers"):
        for name, value in _dictionary(module, kind):
            if isinstance(value, Tensor):
                yield prefix + name, value
    for name, child in _dictionary(module, "_modules"):
        if isinstance(child, _StandIn):
            yield from _entries(child, f"{prefix}{name}.", (*around, module))


def _dictionary(module: _StandIn, kind: str) -> Iterator[tuple[str, object]]:
    found = module.attributes.get(kind)
    yield from found.items() if isinstance(found, dict) else ()
