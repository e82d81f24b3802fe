"""Run-length encoded lesions of SIIM-ACR -> masks and boxes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from ggcam.data.tables import read_table
from ggcam.errors import TableError

Lesions = tuple[tuple[str, str], ...]
"""Place in the file and runs ("start length start length ...") of each lesion of an image; none where it is healthy."""


def read_lesions(path: Path) -> Mapping[str, Lesions]:
    """Read `train-rle.csv`: image id -> its lesions.

    One row a lesion, so that an image may have several; "-1" says that it has none. The header is
    `ImageId, EncodedPixels`, with a blank before the second name; rows may be repeated.

    Raises:
        MissingFileError: there is no such file.
        TableError: a column is missing, a row says nothing, or an image is called both healthy and ill.
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
            raise TableError("an image is both without and with a lesion", where=lesions["-1"], got=image_id)
    if not found:
        raise TableError("the table has no row", where=path)
    return {
        image_id: tuple((place, runs) for runs, place in lesions.items() if runs != "-1")
        for image_id, lesions in found.items()
    }


def decode_run_lengths(runs: str, height_px: int, width_px: int, where: str) -> Bool[np.ndarray, "h w"]:
    """Mask of one lesion.

    Each start counts from the *end* of the run before, and pixels are numbered down the columns, one after the other:
    neither is what other run-length encodings do.

    Raises:
        TableError: the runs are no pairs of whole numbers, or reach beyond the image.
    """
    try:
        numbers = np.array(runs.split(), dtype=np.int64)
    except (ValueError, OverflowError):
        numbers = np.array([-1])
    if len(numbers) % 2 or not len(numbers) or (numbers < 0).any():
        raise TableError("runs are not pairs of start and length", where=where, got=_short(runs))
    ends = numbers.cumsum()
    if ends[-1] > height_px * width_px:
        raise TableError(
            "runs reach beyond the image",
            where=where,
            expected=f"{height_px * width_px:,} pixels at most, each start counted from the end of the run before",
            got=f"{ends[-1]:,}",
        )
    # The k-th sum is where a run begins (even k) or ends (odd k); a change of level at each of them.
    change = np.zeros(height_px * width_px + 1, dtype=np.int8)
    np.add.at(change, ends[0::2], 1)
    np.add.at(change, ends[1::2], -1)
    return change[:-1].cumsum(dtype=np.int8).astype(bool).reshape(width_px, height_px).T


def bounding_box(mask: Bool[np.ndarray, "h w"]) -> tuple[float, float, float, float] | None:
    """x0, y0, x1, y1 of the smallest box around a mask, in continuous pixels; None around nothing."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _short(runs: str) -> str:
    return repr(runs if len(runs) < 40 else f"{runs[:40]}...")
