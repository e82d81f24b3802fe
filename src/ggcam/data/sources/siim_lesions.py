"""Run-length encoded lesions of SIIM-ACR, decoded to masks and boxes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from ggcam.data.tables import read_table
from ggcam.errors import TableError

LesionRuns = tuple[tuple[str, str], ...]
"""Position in the file and runs ("start length start length ...") of each lesion of an image; empty if healthy."""


def read_lesions(path: Path) -> Mapping[str, LesionRuns]:
    """Read `train-rle.csv`.

    The table has one row per lesion, so an image may have several; "-1" means no lesion. The header is
    `ImageId, EncodedPixels`, with a space before the second name. Rows may be repeated.

    Args:
        path: the table.

    Returns:
        Image id -> its lesions, in the order of the table.

    Raises:
        MissingFileError: the table does not exist.
        TableError: a column is missing, a value is empty, or an image is listed both with and without a lesion.
    """
    table = read_table(path, ["ImageId", "EncodedPixels"])
    for column in ("ImageId", "EncodedPixels"):
        table.refuse(table[column] == "", f"a row has no {column}", column)
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for image_id, runs, row in zip(
        table["ImageId"].tolist(), table["EncodedPixels"].tolist(), table.row.tolist(), strict=True
    ):
        found[image_id].setdefault(runs, f"{path}:{row}")
    for image_id, lesions in found.items():
        if "-1" in lesions and len(lesions) > 1:
            raise TableError("an image is listed both with and without a lesion", where=lesions["-1"], got=image_id)
    if not found:
        raise TableError("the table has no rows", where=path)
    return {
        image_id: tuple((position, runs) for runs, position in lesions.items() if runs != "-1")
        for image_id, lesions in found.items()
    }


def decode_run_lengths(runs: str, height_px: int, width_px: int, where: str) -> Bool[np.ndarray, "h w"]:
    """Decode one lesion.

    Unlike in other run-length encodings, each start is relative to the *end* of the previous run, and pixels are
    numbered column by column.

    Args:
        runs: "start length start length ...".
        height_px: height of the image.
        width_px: width of the image.
        where: position in the file, for messages.

    Returns:
        Mask of the lesion.

    Raises:
        TableError: the runs are not pairs of non-negative whole numbers, or exceed the image.
    """
    try:
        numbers = np.array(runs.split(), dtype=np.int64)
    except (ValueError, OverflowError):
        numbers = np.array([-1])
    if len(numbers) % 2 or not len(numbers) or (numbers < 0).any():
        raise TableError("runs are not pairs of start and length", where=where, got=_shorten(runs))
    ends = numbers.cumsum()
    if ends[-1] > height_px * width_px:
        raise TableError(
            "the runs exceed the image",
            where=where,
            expected=f"at most {height_px * width_px:,} pixels; each start is relative to the end of the previous run",
            got=f"{ends[-1]:,}",
        )
    # The k-th sum is where a run begins (even k) or ends (odd k): the level changes at each of them.
    change = np.zeros(height_px * width_px + 1, dtype=np.int8)
    np.add.at(change, ends[0::2], 1)
    np.add.at(change, ends[1::2], -1)
    return change[:-1].cumsum(dtype=np.int8).astype(bool).reshape(width_px, height_px).T


def bounding_box(mask: Bool[np.ndarray, "h w"]) -> tuple[float, float, float, float] | None:
    """Return the smallest box around a mask.

    Args:
        mask: the mask.

    Returns:
        x0, y0, x1, y1 in continuous pixels; None for an empty mask.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _shorten(runs: str) -> str:
    return repr(runs if len(runs) < 40 else f"{runs[:40]}...")
