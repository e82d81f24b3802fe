"""Write JSON files; :mod:`ggcam.utils.documents` reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ggcam.utils.atomic import atomic_write


def format_json(content: Mapping[str, Any]) -> str:
    """Format the content of a JSON file.

    Args:
        content: what it holds.

    Returns:
        JSON text, indented.

    Example:
        >>> format_json({"classes": ("CHF", "pneumonia")}).split()
        ['{', '"classes":', '[', '"CHF",', '"pneumonia"', ']', '}']
    """
    return json.dumps(content, indent=2) + "\n"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file completely or not at all.

    Args:
        path: the file; its folder is created if missing.
        content: what it holds.

    Raises:
        OSError: the file cannot be written.
    """
    atomic_write(path, format_json(content))
