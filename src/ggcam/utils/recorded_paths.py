"""Paths that files record: relative to the folder of the file, so that they tell nothing about the machine."""

from __future__ import annotations

import os
from pathlib import Path


def record_path(path: Path, folder: Path) -> str:
    """Return how a file in a folder records a path.

    Args:
        path: path of a file or folder.
        folder: folder of the file that records it.

    Returns:
        The path relative to the folder, with "/"; "" if both have nothing in common but the root of the file system or
        the folder of all users' homes, because the way would then tell where on the machine they are.

    Example:
        >>> record_path(Path("/home/me/project/DATA"), Path("/home/me/project/run/mine"))
        '../../DATA'
        >>> record_path(Path("/data/DATA"), Path("/home/me/project/run/mine"))
        ''
    """
    path, folder = path.resolve(), folder.resolve()
    try:
        common = Path(os.path.commonpath([path, folder]))
    except ValueError:  # on different drives
        return ""
    if common == Path(common.anchor) or common in Path.home().parents:
        return ""
    return Path(os.path.relpath(path, folder)).as_posix()


def recorded_path(text: str, folder: Path) -> Path | None:
    """Return the path that a file in a folder has recorded.

    Args:
        text: what :func:`record_path` returned, or an absolute path.
        folder: folder of the file that recorded it.

    Returns:
        The path; None if it was not recorded.
    """
    return Path(os.path.normpath(folder.resolve() / text)) if text else None
