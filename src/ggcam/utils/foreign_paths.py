"""Paths in files and folders from elsewhere: they stay inside the folder that the user named."""

from __future__ import annotations

import os
from pathlib import Path

from ggcam.errors import DataError

MAX_NAME_BYTES = 200
"""File systems allow 255; the names of runs and of temporary files are longer than the name that they start with."""


def is_file_name(text: str) -> bool:
    """Return whether a text names a file or folder in the current one: no path, neither "." nor "..", and not too long.

    Args:
        text: the text.

    Example:
        >>> is_file_name("NET.pt"), is_file_name("../NET.pt"), is_file_name("/NET.pt"), is_file_name("..")
        (True, False, False, False)
    """
    return (
        text not in ("", ".", "..")
        and not any(character in text for character in "/\\\0")
        and len(text.encode(errors="surrogatepass")) <= MAX_NAME_BYTES
    )


def file_exists(path: Path) -> bool:
    """Return whether a file exists whose name comes from a table; one that no file can have is no error.

    Args:
        path: path of the file.
    """
    try:
        return path.is_file()
    except OSError:  # too long a name
        return False


def check_no_links_out(folder: Path, root: Path, error_type: type[DataError]) -> None:
    """Check that neither a folder nor a file in it is a link that leads out of the folder that the user named.

    Through such a link, a folder from elsewhere would show or overwrite files that do not belong to it.

    Args:
        folder: folder to check, without the folders in it; it need not exist.
        root: folder that the user named; it may itself be a link.
        error_type: error to raise.

    Raises:
        DataError: an `error_type`: a link leads out of `root`.
    """
    links = [folder] if folder != root and folder.is_symlink() else []
    if folder.is_dir():
        with os.scandir(folder) as entries:
            links += [Path(entry.path) for entry in entries if entry.is_symlink()]
    real_root = root.resolve()
    for link in links:
        target = link.resolve()
        if not target.is_relative_to(real_root):
            raise error_type(
                "a link leads out of the folder",
                where=link,
                expected=f"files inside {root}",
                got=target,
                hint="if you trust it, replace the link by a copy of what it points to",
            )
