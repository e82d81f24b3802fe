"""Read NumPy's `.npz` archives, which may be damaged: sizes are checked before any memory is allocated."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import cast

import numpy as np

from ggcam.errors import DataError, GGCamError, MissingFileError

MAX_BYTES = 8 * 2**30
"""Maximum size of an array: 8 GiB."""

SMALL_BYTES = 2**28
"""Arrays up to this size, 256 MiB, may be compressed to any degree."""

MAX_RATIO = 100
"""Maximum ratio of an array's size and its compressed size, for larger arrays."""

_ENCRYPTED = 1
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    SyntaxError,  # NumPy reads the header of an array as a Python literal
    tokenize.TokenError,
    ValueError,
    EOFError,
    OSError,
    KeyError,
    TypeError,
    SyntaxError,
    OverflowError,
    MemoryError,
    NotImplementedError,  # compressed by another method
)


def read_npz(
    path: Path,
    arrays: Mapping[str, tuple[str, int]],
    error: type[GGCamError] = DataError,
    hint: str | None = None,
    optional: Collection[str] = (),
) -> dict[str, np.ndarray]:
    """Read arrays from an archive. Pickled objects are refused.

    Args:
        path: the archive.
        arrays: name of each array -> its kind, as `numpy.dtype.kind` names it ("f", "i", "U", ...), and its number of
            dimensions.
        error: type of the error about a damaged file.
        hint: how to get an undamaged file, in the imperative.
        optional: names of the arrays that may be missing.

    Returns:
        Name -> array.

    Raises:
        MissingFileError: the file does not exist.
        GGCamError: of the type `error`; the file is damaged or too large, or an array is missing or of another kind.
    """
    if not path.is_file():
        raise MissingFileError("the file does not exist", where=path, hint=hint)
    try:
        with zipfile.ZipFile(path) as archive:
            names = {info.filename: info for info in archive.infolist()}
            if missing := [name for name in arrays if f"{name}.npy" not in names and name not in optional]:
                raise error("an array is missing", where=path, expected=", ".join(missing), hint=hint)
            return {
                name: _read_array(archive, names[f"{name}.npy"], name, *expected, path, error, hint)
                for name, expected in arrays.items()
                if f"{name}.npy" in names
            }
    except GGCamError:
        raise
    except _DAMAGED as cause:
        reason = f"{type(cause).__name__}: {cause}".splitlines()[0][:200]
        raise error("the file is damaged", where=path, expected="an .npz archive", got=reason, hint=hint) from None


def _read_array(
    archive: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    name: str,
    kind: str,
    dimensions: int,
    path: Path,
    error: type[GGCamError],
    hint: str | None,
) -> np.ndarray:
    if info.flag_bits & _ENCRYPTED:
        raise error("the file is encrypted", where=path, hint=hint)
    with cast(zipfile.ZipExtFile, archive.open(info)) as file:
        shape, _, dtype = _read_header(file)
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        ratio = size / max(info.compress_size, 1)
        if size > MAX_BYTES or (size > SMALL_BYTES and ratio > MAX_RATIO):
            raise error(
                f"the array {name} is too large",
                where=path,
                expected=f"at most {MAX_BYTES / 2**30:g} GiB, and at most {MAX_RATIO} times the compressed size",
                got=f"{size / 2**30:,.1f} GiB from {info.compress_size / 2**20:,.1f} MiB",
                hint=hint,
            )
        if dtype.kind != kind or len(shape) != dimensions:
            raise error(
                f"the array {name} has another type or shape",
                where=path,
                expected=f"{dimensions} dimensions, kind {kind!r}",
                got=f"shape {shape}, {dtype}",
                hint=hint,
            )
    with archive.open(info) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _read_header(file: zipfile.ZipExtFile) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    return read(file)
