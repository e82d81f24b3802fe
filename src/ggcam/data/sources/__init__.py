"""Raw data sets: one module a format, each with a function that reads a folder into a Source."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ggcam.data.case import Source
from ggcam.data.sources import egd_cxr, folder, original, reflacx, siim_acr, table
from ggcam.errors import ConfigError, DataError, MissingFileError
from ggcam.utils.aliases import canonical_name

__all__ = ["READERS", "Reader", "detect", "read"]


@dataclass(frozen=True)
class Reader:
    """What a module of this package offers: its NEEDS, recognises and read.

    Attributes:
        needs: the files by which a folder is recognised, in words.
        recognises: whether a folder looks like this format.
        read: folder and the format's own options -> Source.
    """

    expected_files: str
    can_read: Callable[[Path], bool]
    read: Callable[..., Source]


READERS: Mapping[str, Reader] = {
    module.NAME: Reader(module.EXPECTED_FILES, module.can_read, module.read)
    for module in (egd_cxr, original, reflacx, siim_acr, table, folder)
}
"""Name -> reader, the particular formats before the general one."""


def detect(root: Path) -> str:
    """Name of the first format that recognises the folder.

    Raises:
        MissingFileError: there is no such folder.
        DataError: no format recognises it; the message says what each one needs.
    """
    if not root.is_dir():
        raise MissingFileError("there is no such folder", where=root)
    for name, reader in READERS.items():
        if reader.can_read(root):
            return name
    expected_files = "".join(f"\n    {name}: {reader.expected_files}" for name, reader in READERS.items())
    raise DataError("the folder is of no known format", where=root, expected=f"one of{expected_files}")


def read(root: Path, source: str = "auto", **options: object) -> Source:
    """Read a raw data set.

    Args:
        root: its folder.
        source: name of the format, or "auto" to recognise it.
        options: arguments of the format's own `read`.

    Raises:
        ConfigError: there is no such format, or it has no such option; the message lists those there are.
        GGCamError: whatever the reader finds.
    """
    name = detect(root) if source == "auto" else canonical_name(source)
    if name not in READERS:
        raise ConfigError("unknown source", where="--source", got=name, expected=", ".join(["auto", *READERS]))
    reader = READERS[name]
    valid = list(inspect.signature(reader.read).parameters)[1:]
    for option in options:
        if option not in valid:
            raise ConfigError(f"{name} has no option {option}", expected=", ".join(valid))
    return reader.read(root, **options)
