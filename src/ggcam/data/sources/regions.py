"""Regions of findings, cleaned, named like the classes, and grouped by image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, Shaped

from ggcam.data.case import ANATOMY_REGIONS, MaskName, Region, RegionMask
from ggcam.data.schema import MAX_REGION_MASKS
from ggcam.errors import DataError, TableError, join_limited

KINDS: tuple[Literal["box", "ellipse"], ...] = ("box", "ellipse")

SYNONYMS: Mapping[str, str] = {"infiltrate": "infiltration"}
"""Names of one finding in different files of the same data set: those in ChestX-ray14's list of boxes and labels."""

NOT_A_CLASS = "region whose name is not a class (kept)"
"""Reason under which such regions are counted: they guide and evaluate no class of their own."""

MIN_BOXES, MAX_OUTSIDE = 20, 0.5
"""If more than this share of at least this many boxes extends beyond the images, they belong to images of another size.
"""


@dataclass(frozen=True)
class CaseRegions:
    """Regions of one image.

    Attributes:
        regions: boxes and ellipses in pixels of the image.
        masks: name of a finding -> its mask.
        anatomy: anatomical masks.
    """

    regions: tuple[Region, ...] = ()
    masks: Mapping[str, RegionMask] = field(default_factory=dict)
    anatomy: Mapping[MaskName, Path] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class RegionRows:
    """Boxes and ellipses of many images, in any order.

    Attributes:
        case: shape (n,), index of the image.
        name: shape (n,), finding.
        kind: shape (n,), "box" or "ellipse".
        corners: shape (n, 4), left, top, right and bottom edge in continuous pixels of the image.
        where: place of each row in its file, for messages.
    """

    case: Int[np.ndarray, " n"]
    name: Shaped[np.ndarray, " n"]
    kind: Shaped[np.ndarray, " n"]
    corners: Float[np.ndarray, "n 4"]
    where: Sequence[str]


def group_regions(
    rows: RegionRows, sizes: Int[np.ndarray, "cases 2"], dropped: Counter[str], path: Path
) -> list[tuple[Region, ...]]:
    """Clip regions to their images, and group them by image.

    Left out and counted are regions outside their image and those without area. Repeated rows count once.

    Args:
        rows: regions with `case` from 0 to cases - 1.
        sizes: height and width of each image in pixels.
        dropped: reason -> count; updated.
        path: the file, for messages.

    Returns:
        Regions of each image, in the order of the rows.

    Raises:
        TableError: a coordinate is not finite, or a right or bottom edge lies before the left or top one.
        DataError: most of many boxes extend beyond their images, so the images have another size.
    """
    _check_corners(rows)
    limits = np.tile(sizes[rows.case][:, ::-1], 2)
    clipped = np.clip(rows.corners, 0, limits)
    # A pixel more is a matter of rounding, or of edges that count as inside.
    cut = (np.abs(clipped - rows.corners) > 1).any(axis=1)
    flat = (rows.corners[:, :2] == rows.corners[:, 2:]).any(axis=1)
    outside = ~flat & (clipped[:, :2] >= clipped[:, 2:]).any(axis=1)
    if len(rows.case) >= MIN_BOXES and cut.mean() > MAX_OUTSIDE:
        raise DataError(
            f"{cut.mean():.0%} of the boxes extend beyond their images",
            where=path,
            expected="boxes in pixels of the images in their present size",
            hint="use the images in the size in which the boxes were drawn, not resized ones",
        )
    grouped: list[dict[Region, None]] = [{} for _ in sizes]
    repeated = 0
    for index in np.flatnonzero(~flat & ~outside).tolist():
        region = Region(
            str(rows.name[index]), "ellipse" if rows.kind[index] == "ellipse" else "box", *clipped[index].tolist()
        )
        found = grouped[rows.case[index]]
        repeated += region in found
        found[region] = None
    dropped["region without area"] += int(flat.sum())
    dropped["region outside its image"] += int(outside.sum())
    dropped["region clipped to its image (kept)"] += int((cut & ~outside & ~flat).sum())
    dropped["repeated region"] += repeated
    return [tuple(found) for found in grouped]


def _check_corners(rows: RegionRows) -> None:
    for invalid, what in (
        (~np.isfinite(rows.corners).all(axis=1), "a coordinate of a region is not a finite number"),
        (
            (rows.corners[:, :2] > rows.corners[:, 2:]).any(axis=1),
            "the right or bottom edge of a region is before its left or top edge",
        ),
    ):
        if invalid.any():
            at = int(np.argmax(invalid))
            x0, y0, x1, y1 = rows.corners[at].tolist()
            raise TableError(
                what,
                where=rows.where[at],
                expected="x0 < x1 and y0 < y1",
                got=f"x from {x0:g} to {x1:g}, y from {y0:g} to {y1:g}",
            )
    unknown = ~np.isin(rows.kind, KINDS)
    if unknown.any():
        at = int(np.argmax(unknown))
        raise TableError(
            "unknown kind of region", where=rows.where[at], expected="box or ellipse", got=repr(str(rows.kind[at]))
        )


def name_like_classes(names: Sequence[str], class_names: Sequence[str], dropped: Counter[str]) -> list[str]:
    """Return the names of regions as the classes write them, and count those that are not a class.

    Case does not matter, nor whether words are separated by a space, a hyphen or an underscore.

    Args:
        names: name of each region.
        class_names: names of the classes.
        dropped: reason -> count; updated.

    Returns:
        The class's name for each region, or its own name if there is no such class.
    """
    classes = {_key(name): name for name in class_names}
    found = [classes.get(_key(name), name) for name in names]
    known = {*class_names, *ANATOMY_REGIONS}
    dropped[NOT_A_CLASS] += sum(name not in known and name.lower() not in known for name in found)
    return found


def _key(name: str) -> str:
    key = " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
    return SYNONYMS.get(key, key)


def check_mask_counts(masks: Sequence[Mapping[str, RegionMask]], case_ids: Sequence[str], where: Path) -> None:
    """Check that no case has more masks than a prepared file can hold.

    Args:
        masks: masks of each case by name.
        case_ids: id of each case.
        where: the file or folder, for the message.

    Raises:
        DataError: a case has more than `MAX_REGION_MASKS` masks.
    """
    for case_id, of_case in zip(case_ids, masks, strict=True):
        if len(of_case) > MAX_REGION_MASKS:
            raise DataError(
                f"an image has masks of more than {MAX_REGION_MASKS} findings",
                where=f"{where}, {case_id}",
                got=f"{len(of_case)}: {join_limited(sorted(of_case))}",
            )
