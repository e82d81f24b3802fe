"""The words by which tables name the splits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ggcam.data.case import SPLITS, Split
from ggcam.data.tables import Table

SPLIT_WORDS: Mapping[str, Split] = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validate": "valid",
    "validation": "valid",
    "val": "valid",
    "test": "test",
}
"""Splits by the words for them, in lower case."""


def read_splits(table: Table, allow_blank: bool = False) -> list[Split | None]:
    """Read the column `split` of a table.

    Args:
        table: table with a column `split` of :data:`SPLIT_WORDS`, in upper or lower case.
        allow_blank: whether values may be missing.

    Returns:
        Split of each row; None for a missing value.

    Raises:
        TableError: a word is unknown, or a value is missing.
    """
    words = np.char.lower(table["split"])
    known = [*SPLIT_WORDS, *([""] if allow_blank else [])]
    expected = ", ".join(SPLITS) + (" or nothing" if allow_blank else "")
    table.refuse(~np.isin(words, known), "unknown split", "split", expected)
    return [SPLIT_WORDS.get(word) for word in words.tolist()]
