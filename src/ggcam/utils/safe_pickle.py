"""Pickles and `.pt` files from elsewhere: arrays of numbers come out, and nothing in them is ever run.

A pickle is a program: loaded the usual way, it may call whatever it names. Here it may name what NumPy's arrays are
written with, and gets stand-ins for these; torch's own loader of weights does the same for tensors.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ggcam.errors import ImageError

_NOTHING_RAN = "nothing of it was run; do not open it with other programs unless you trust who made it"


def load_array(path: Path) -> np.ndarray:
    """Read a pickle (protocol 2 to 5) that holds one NumPy array of booleans, integers or floats, and nothing else.

    Returns:
        The array, read-only, in the machine's byte order.

    Raises:
        ImageError: the pickle asks for anything but an array, named in the message; or it is cut off or damaged.
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file:
        try:
            found = _ArraysOnly(file).load()
        except _ForbiddenError as error:
            raise ImageError(
                "the pickle asks for something that is no array of numbers",
                where=path,
                expected="a NumPy array of booleans, integers or floats",
                got=error,
                hint=_NOTHING_RAN,
            ) from None
        except Exception as error:  # a broken pickle can raise whatever its broken instructions lead to
            raise ImageError("the pickle is cut off or damaged", where=path, got=_first_line(error)) from None
    if not isinstance(found, _Array) or found.values is None:
        got = "an unfinished array" if isinstance(found, _Array) else type(found).__name__
        raise ImageError("the pickle holds no array", where=path, expected="one NumPy array of numbers", got=got)
    return found.values


def load_tensors(path: Path) -> dict[str, np.ndarray]:
    """Read a `.pt` file (a zip archive, as torch has written since 1.6) that holds a dictionary of tensors.

    Returns:
        Name -> array, mapped from the file: what is not looked at is not read.

    Raises:
        ImageError: the file asks for anything but tensors, named in the message; holds something other than a
            dictionary of dense tensors of numbers; or is cut off or damaged.
        FileNotFoundError: there is no such file.
    """
    import torch

    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        forbidden = re.search(r"GLOBAL (\S+)|(?:find|call) (\S+)", str(error))
        raise ImageError(
            "the file asks for something that is no tensor",
            where=path,
            expected="a dictionary of tensors",
            got=next(filter(None, forbidden.groups())) if forbidden else _first_line(error),
            hint=_NOTHING_RAN,
        ) from None
    except FileNotFoundError:
        raise
    except Exception as error:  # torch raises a dozen kinds for a damaged file, OSError among them
        raise ImageError("the .pt file is cut off or damaged", where=path, got=_first_line(error)) from None
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        got = {key: type(value).__name__ for key, value in found.items()} if isinstance(found, dict) else type(found)
        raise ImageError("the .pt file holds no dictionary of tensors", where=path, got=got)
    try:
        return {str(name): tensor.detach().numpy() for name, tensor in found.items()}
    except (TypeError, RuntimeError) as error:
        raise ImageError("a tensor is not of plain numbers", where=path, got=_first_line(error)) from None


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


class _ForbiddenError(Exception):
    """Carries what a pickle asked for."""


class _ArraysOnly(pickle.Unpickler):
    """Knows the few names that NumPy's arrays are pickled with, and gives stand-ins for all of them."""

    def find_class(self, module: str, name: str) -> Any:
        """Called for every global that the pickle names."""
        try:
            return _ADMITTED[f"{module}.{name}"]
        except KeyError:
            raise _ForbiddenError(f"{module}.{name}") from None


class _DType:
    """Stands in for numpy.dtype: a plain number, and no structure, object or subclass."""

    def __init__(self, code: str, *_: object):
        if re.fullmatch(r"b1|[iu][1248]|f[248]", code) is None:
            raise _ForbiddenError(f"an array of type {code}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        """The state begins with a version number and the byte order."""
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Stands in for numpy.ndarray."""

    values: np.ndarray | None = None

    def __setstate__(self, state: tuple) -> None:
        """The state is a version number, the shape, the type, whether columns come first, and the bytes."""
        _, shape, kind, by_columns, content = state
        self._fill(content, kind, shape, "F" if by_columns else "C")

    def _fill(self, content: bytes | bytearray, kind: _DType, shape: tuple[int, ...], order: str) -> None:
        found = np.frombuffer(bytes(content), kind.dtype).reshape(shape, order="F" if order == "F" else "C")
        native = found.astype(kind.dtype.newbyteorder("="), copy=False)
        native.flags.writeable = False
        self.values = native


def _reconstruct(*_: object) -> _Array:
    """What NumPy writes for protocols below 5: an empty array, filled by its state."""
    return _Array()


def _frombuffer(content: bytes | bytearray, kind: _DType, shape: tuple[int, ...], order: str) -> _Array:
    """What NumPy writes for protocol 5."""
    made = _Array()
    made._fill(content, kind, shape, order)
    return made


def _encode(text: str, encoding: str) -> bytes:
    """What Python writes for bytes in protocol 2; with another codec this would import one."""
    if encoding != "latin1":
        raise _ForbiddenError(f"_codecs.encode to {encoding}")
    return text.encode("latin1")


_ADMITTED: Mapping[str, Callable] = {
    "numpy.ndarray": _Array,
    "numpy.matrix": _Array,
    "numpy.matrixlib.defmatrix.matrix": _Array,
    "numpy.dtype": _DType,
    "numpy.core.multiarray._reconstruct": _reconstruct,
    "numpy._core.multiarray._reconstruct": _reconstruct,
    "numpy.core.numeric._frombuffer": _frombuffer,
    "numpy._core.numeric._frombuffer": _frombuffer,
    "_codecs.encode": _encode,
}
"""All that a pickle may name. NumPy's modules were called `core` before its version 2."""
