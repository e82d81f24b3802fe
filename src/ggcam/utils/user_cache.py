"""Small results kept between commands in the user's cache folder. Losing them costs time, nothing else."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from ggcam.utils.atomic import atomic_write

FOLDER_VARIABLE = "GGCAM_CACHE_DIR"
"""Environment variable with another folder than the user's cache folder."""

log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return the folder: GGCAM_CACHE_DIR, or else `ggcam` in XDG_CACHE_HOME or ~/.cache.

    Raises:
        RuntimeError: the user has no home folder.
    """
    if own := os.environ.get(FOLDER_VARIABLE):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ggcam"


def read_cached(name: str, key: str) -> object:
    """Read a value.

    Args:
        name: name of the file, without ".json".
        key: name of the value in it.

    Returns:
        The value; None if there is none, or the file cannot be read.
    """
    return _read(name).get(key)


def write_cached(name: str, key: str, value: object) -> None:
    """Keep a value, if the folder can be written to. Two processes that write at the same time may lose one value.

    Args:
        name: name of the file, without ".json".
        key: name of the value in it.
        value: what JSON can hold.
    """
    try:
        content = json.dumps({**_read(name), key: value}, indent=1, sort_keys=True)
        atomic_write(cache_folder() / f"{name}.json", content + "\n")
    except (OSError, RuntimeError):
        log.debug("the cache cannot be written", exc_info=True)


def _read(name: str) -> dict[str, object]:
    try:
        found = json.loads((cache_folder() / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, RuntimeError, ValueError, RecursionError):  # missing, unreadable, or not JSON
        return {}
    return found if isinstance(found, dict) else {}
