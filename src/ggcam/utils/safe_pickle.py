"""Safe reading of pickles and `.pt` files from elsewhere: plain data comes out, and no code in them is ever run.

A pickle is a program: loaded the usual way, it may call any function that it names. Here it may name only the built-in
containers and numbers, or the constructors of NumPy's arrays, which are replaced by stand-ins; torch's own loader of
weights does the same for tensors.
"""

from __future__ import annotations

import builtins
import io
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ggcam.errors import DataError, ImageError

NOTHING_RAN = "nothing of it was run; do not open it with other programs unless you trust who made it"
"""Hint of the error about a file that holds code."""


def load_array(path: Path) -> np.ndarray:
    """Read a pickle (protocol 2 to 5) that holds one NumPy array of booleans, integers or floats.

    Args:
        path: the pickle.

    Returns:
        The array, read-only, in the machine's byte order.

    Raises:
        ImageError: the pickle contains anything but such an array, named in the message; or it is truncated or damaged.
        OSError: the file cannot be opened.
    """
    expected = "a NumPy array of booleans, integers or floats"
    found = _load(path, _ARRAY_GLOBALS, expected, ImageError)
    if not isinstance(found, _Array) or found.values is None:
        got = "an unfinished array" if isinstance(found, _Array) else type(found).__name__
        raise ImageError("the pickle does not hold an array", where=path, expected=expected, got=got)
    return found.values


def load_builtins(path: Path) -> object:
    """Read a pickle that holds only built-in containers, strings, numbers, booleans and None.

    Args:
        path: the pickle.

    Returns:
        The object.

    Raises:
        DataError: the pickle contains anything else, named in the message; or it is truncated or damaged.
        OSError: the file cannot be opened.
    """
    return _load(path, _BUILTIN_GLOBALS, "built-in containers, strings and numbers", DataError)


def load_tensors(path: Path) -> dict[str, np.ndarray]:
    """Read a `.pt` file (a zip archive, as torch has written since 1.6) that holds a dictionary of tensors.

    Args:
        path: the file.

    Returns:
        Name -> array, memory-mapped: what is not accessed is not read.

    Raises:
        ImageError: the file contains anything but tensors, named in the message; holds something other than a
            dictionary of dense tensors of numbers; or is truncated or damaged.
        FileNotFoundError: the file does not exist.
    """
    import torch

    found = load_pt(path, ImageError, "tensors", mmap=True)
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        got = {key: type(value).__name__ for key, value in found.items()} if isinstance(found, dict) else type(found)
        raise ImageError("the .pt file does not hold a dictionary of tensors", where=path, got=got)
    try:
        return {str(name): tensor.detach().numpy() for name, tensor in found.items()}
    except (TypeError, RuntimeError) as error:
        raise ImageError("a tensor is not of plain numbers", where=path, got=_first_line(error)) from None


def load_pt(
    path: Path, error_type: type[DataError], expected: str, *, mmap: bool = False, checksums: bool = False
) -> Any:
    """Read a `.pt` file of tensors, built-in containers, strings and numbers.

    Args:
        path: the file.
        error_type: error to raise.
        expected: what the file should contain, for messages.
        mmap: whether to map the tensors into memory, so that what is not accessed is not read.
        checksums: whether to check the checksums, which torch ignores. `torch.save` writes them by default.

    Returns:
        Content of the file, on the CPU.

    Raises:
        DataError: an `error_type`: the file contains anything else, named in the message; or is truncated or damaged.
        FileNotFoundError: the file does not exist.
    """
    import torch

    try:
        if checksums:
            with zipfile.ZipFile(path) as archive:
                if damaged := archive.testzip():
                    raise zipfile.BadZipFile(f"the checksum of {damaged} is wrong")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, about damaged and foreign files
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        # Torch's own text advises to load the file unsafely; only the reason at its end is passed on.
        reason = str(error).partition("WeightsUnpickler error:")[2].strip() or str(error)
        forbidden = re.search(r"GLOBAL (\S+)|(?:find|call) (\S+)|^(Unsupported operand \d+)", reason)
        if forbidden is None:
            raise error_type("the file is truncated or damaged", where=path, got=reason.splitlines()[0]) from None
        raise error_type(
            f"the file contains more than {expected}",
            where=path,
            expected=expected,
            got=next(filter(None, forbidden.groups())),
            hint=NOTHING_RAN,
        ) from None
    except (FileNotFoundError, MemoryError):
        raise
    except Exception as error:  # torch raises a dozen types for a damaged file, OSError among them
        raise error_type("the file is truncated or damaged", where=path, got=_first_line(error)) from None


def pt_bytes(content: object) -> memoryview:
    """Return the content of a `.pt` file, to be written by :func:`ggcam.utils.atomic.atomic_write`.

    Where the disk is full, writing these bytes raises an OSError, and `torch.save` to a path an error of its own.

    Args:
        content: tensors in built-in containers.

    Returns:
        The bytes.
    """
    import torch

    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getbuffer()


class _ForbiddenError(Exception):
    """Carries the name of what a pickle must not contain."""


class _RestrictedUnpickler(pickle.Unpickler):
    """An unpickler that finds only the given globals."""

    def __init__(self, file: Any, allowed: Mapping[str, Callable]):
        super().__init__(file)
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a global that the pickle names."""
        try:
            return self._allowed[f"{module}.{name}"]
        except KeyError:
            raise _ForbiddenError(f"{module}.{name}") from None


def _load(path: Path, allowed: Mapping[str, Callable], expected: str, error_type: type[DataError]) -> object:
    with path.open("rb") as file:
        try:
            return _RestrictedUnpickler(file, allowed).load()
        except _ForbiddenError as error:
            raise error_type(
                "the pickle contains an object that is not allowed",
                where=path,
                expected=expected,
                got=error,
                hint=NOTHING_RAN,
            ) from None
        except Exception as error:  # the instructions of a damaged pickle may raise anything
            raise error_type("the pickle is truncated or damaged", where=path, got=_first_line(error)) from None


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


_BUILTIN_GLOBALS: Mapping[str, Callable] = {
    f"{module}.{name}": getattr(builtins, name)
    for module in ("builtins", "__builtin__")
    for name in ("list", "tuple", "dict", "set", "frozenset", "int", "float", "bool", "str", "complex")
}
"""The types that Python pickles by name. Its version 2 called the module `__builtin__`."""


class _DType:
    """A stand-in for numpy.dtype: a plain number, never a structure, object or subclass."""

    def __init__(self, code: str, *_: object):
        if re.fullmatch(r"b1|[iu][1248]|f[248]", code) is None:
            raise _ForbiddenError(f"an array of type {code}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        """Set the byte order. The state begins with a version number and the byte order."""
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """A stand-in for numpy.ndarray."""

    values: np.ndarray | None = None

    def __setstate__(self, state: tuple) -> None:
        """Set the values. The state is a version number, shape, type, whether columns come first, and the bytes."""
        _, shape, kind, by_columns, content = state
        self._fill(content, kind, shape, "F" if by_columns else "C")

    def _fill(self, content: bytes | bytearray, kind: _DType, shape: tuple[int, ...], order: str) -> None:
        found = np.frombuffer(bytes(content), kind.dtype).reshape(shape, order="F" if order == "F" else "C")
        native = found.astype(kind.dtype.newbyteorder("="), copy=False)
        native.flags.writeable = False
        self.values = native


def _reconstruct(*_: object) -> _Array:
    """Return an empty array, filled later by its state. NumPy writes this call for protocols below 5."""
    return _Array()


def _frombuffer(content: bytes | bytearray, kind: _DType, shape: tuple[int, ...], order: str) -> _Array:
    """Return an array. NumPy writes this call for protocol 5."""
    array = _Array()
    array._fill(content, kind, shape, order)
    return array


def _encode(text: str, encoding: str) -> bytes:
    """Return bytes. Python writes this call in protocol 2; another codec would make it import a module."""
    if encoding != "latin1":
        raise _ForbiddenError(f"_codecs.encode to {encoding}")
    return text.encode("latin1")


_ARRAY_GLOBALS: Mapping[str, Callable] = {
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
"""What the pickle of an array may name. NumPy's modules were called `core` before its version 2."""
