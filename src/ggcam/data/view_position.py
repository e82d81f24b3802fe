"""From which side an X-ray was taken, where its DICOM header or a table says it: PA, AP, LL, ..."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ggcam.data.images import is_dicom_file

VIEWS = frozenset(["AP", "PA", "LL", "RL", "RLD", "LLD", "RLO", "LLO", "LATERAL"])
"""Views that are told apart: the terms of DICOM's View Position (0018,5101) for projection radiography, and the word
that tables use for either side."""


def known_view(words: Iterable[str]) -> str | None:
    """Find a view among words.

    Args:
        words: words of any case, such as the flags of a case.

    Returns:
        The first that is in :data:`VIEWS`, in capital letters; None if none is.

    Example:
        >>> known_view(["portable", "ap"])
        'AP'
    """
    return next((word.strip().upper() for word in words if word.strip().upper() in VIEWS), None)


def read_view(path: Path) -> str | None:
    """Read the view of a DICOM file.

    Args:
        path: image file of any format.

    Returns:
        The view; None for a file that is not DICOM, is damaged, or does not say.
    """
    try:
        if not is_dicom_file(path):
            return None
        from ggcam.data.dicom_file import read_dicom_header

        value = read_dicom_header(path, ["ViewPosition"]).get("ViewPosition")
    except Exception:  # whatever is wrong with the file, the reader of its pixels says it
        return None
    return known_view([str(value)])
