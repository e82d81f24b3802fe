"""Run-length encoded lesions of SIIM-ACR, as masks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

from ggcam.data.case import RegionMask
from ggcam.data.region_masks import RelativeRuns, unite
from ggcam.data.run_lengths import parse_relative_runs
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


def lesion_mask(lesions: LesionRuns, height_px: int, width_px: int, dropped: Counter[str]) -> RegionMask | None:
    """Return the union of an image's lesions, and check their runs without drawing them.

    Args:
        lesions: position in the file and runs of each lesion.
        height_px: height of the image.
        width_px: width of the image.
        dropped: reason -> count; updated.

    Returns:
        The mask; None if the image has no lesion, or only lesions without area.

    Raises:
        TableError: the runs are not pairs of non-negative whole numbers, or exceed the image.
    """
    parts: list[RegionMask] = []
    for where, text in lesions:
        try:
            runs = parse_relative_runs(text)
        except ValueError as error:
            raise TableError(str(error), where=where, got=_shorten(text)) from None
        if runs.max() > height_px * width_px:
            raise TableError(
                "the runs exceed the image",
                where=where,
                expected=f"at most {height_px * width_px:,} pixels; each start is relative to the end of the previous "
                "run",
                got=f"{runs.max():,}",
            )
        if (runs[:, 1] > runs[:, 0]).any():
            parts.append(RelativeRuns(text, where))
        else:
            dropped["lesion without area"] += 1
    return unite(parts) if parts else None


def _shorten(runs: str) -> str:
    return repr(runs if len(runs) < 40 else f"{runs[:40]}...")
