"""Which attention of a prepared folder guides a run: gaze, or the marked regions of findings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from ggcam.data.case import Region, is_finding
from ggcam.data.prepared import PreparedData
from ggcam.data.region_maps import CELL_PX, draw_mask, draw_region
from ggcam.data.schema import REGIONS, region_mask_bits
from ggcam.data.view_config import AttentionKind, RegionShape
from ggcam.errors import ConfigError

REGION_KINDS = {"regions": ("box", "ellipse", "mask"), "boxes": ("box", "ellipse"), "masks": ("mask",)}
"""Kind of attention -> kinds of regions that belong to it."""


def resolve_attention(data: PreparedData, kind: AttentionKind) -> AttentionKind:
    """Choose the attention of a run where its options leave it open.

    Args:
        data: the prepared folder.
        kind: kind of attention; "auto" is gaze if any case has gaze, else regions if any case has a finding's region.

    Returns:
        The kind, never "auto".

    Raises:
        ConfigError: regions are asked for, and no case has any of that kind.
    """
    if kind == "auto":
        has_gaze = bool(data.cases["has_gaze"].to_numpy().any())
        return "gaze" if has_gaze or finding_regions(data, "regions").empty else "regions"
    if kind in REGION_KINDS and finding_regions(data, kind).empty:
        raise ConfigError(
            "the data have no such attention",
            where=f"--attention {kind}",
            expected=f"regions of findings of the kind {' or '.join(REGION_KINDS[kind])} in {data.root}",
            got="none",
        )
    return kind


def uses_gaze(kind: AttentionKind) -> bool:
    """Return whether fixations guide the CAMs under a kind of attention."""
    return kind in ("auto", "gaze", "gaze-else-regions")


def finding_regions(data: PreparedData, kind: AttentionKind) -> pd.DataFrame:
    """Select the regions that guide CAMs.

    Regions of anatomical structures and of simulated markers do not. A region whose name is a class (upper or lower
    case) belongs to that class and guides no other; one with another name guides every label of its case.

    Args:
        data: the prepared folder.
        kind: kind of attention.

    Returns:
        Rows of `data.regions` with further columns. "class" is the index of the class, -1 for none; in single-label
        data, regions of another class than the case's are left out. "mask_case_id" and "mask_bit" say where the pixels
        of a mask are.
    """
    regions = with_mask_bits(data.regions)
    labels = None if data.multi_label else dict(zip(data.cases["case_id"], data.cases["label"], strict=True))
    allowed = REGION_KINDS.get(kind, () if kind == "gaze" else REGION_KINDS["regions"])
    regions = regions.loc[regions["kind"].isin(allowed) & _marks_finding(regions)]
    index = {name.lower(): number for number, name in enumerate(data.class_names)}
    number = np.array([index.get(name.lower(), -1) for name in regions["name"].tolist()], dtype=np.int64)
    if labels is not None:
        own = np.array([labels.get(case_id, -1) for case_id in regions["case_id"].tolist()])
        regions = regions.loc[(number == -1) | (number == own)]
        number = np.full(len(regions), -1)
    return regions.assign(**{"class": number})


def cases_with_findings(data: PreparedData) -> Bool[np.ndarray, " cases"]:
    """Return which cases have a marked finding of any kind.

    Args:
        data: the prepared folder, or a view of it.

    Returns:
        One value per row of `data.cases`.
    """
    return data.cases["case_id"].isin(data.regions.loc[_marks_finding(data.regions), "case_id"]).to_numpy()


def _marks_finding(regions: pd.DataFrame) -> Bool[np.ndarray, " rows"]:
    """Return which rows mark a finding; there are far fewer names than rows."""
    names = pd.Series(regions["name"])
    return names.isin([name for name in names.unique() if is_finding(name)]).to_numpy()


def with_mask_bits(regions: pd.DataFrame) -> pd.DataFrame:
    """Say where the pixels of masks are, so that their rows can be given to another case.

    Args:
        regions: rows of the regions of a prepared folder.

    Returns:
        The table with the columns mask_case_id and mask_bit; as it is if it has them.
    """
    if "mask_bit" in regions:
        return regions
    bits = pd.Series(0, regions.index)
    masks = regions.loc[regions["kind"] == "mask"]
    for rows in masks.groupby("case_id", sort=False).groups.values():
        names = masks.loc[rows, "name"].tolist()
        bits.loc[rows] = [region_mask_bits(names)[name] for name in names]
    return regions.assign(mask_case_id=regions["case_id"], mask_bit=bits)


def attended_cases(data: PreparedData) -> Bool[np.ndarray, " cases"]:
    """Return which cases have attention of the kind that guides the run, `data.attention`.

    Args:
        data: the prepared folder, or a view of it.

    Returns:
        One value per row of `data.cases`.
    """
    has = data.cases["case_id"].isin(finding_regions(data, data.attention)["case_id"]).to_numpy()
    return has | data.cases["has_gaze"].to_numpy() if uses_gaze(data.attention) else has


class _Marked(NamedTuple):
    """A region, and for a mask the case and the bit of its pixels."""

    region: Region
    mask_case_id: str
    mask_bit: int


class RegionMaps:
    """Draws the regions that guide each case: one map per class that the case has regions of.

    Args:
        data: the prepared folder, or a view of it.
        case_ids: ids of the cases, in the order of their positions.
        shape: how the attention spreads in a box or an ellipse.
    """

    def __init__(self, data: PreparedData, case_ids: Sequence[str], shape: RegionShape):
        self._frame = data.frame.shape
        self._shape: RegionShape = shape
        self._data = data
        regions = finding_regions(data, data.attention)
        position = {case_id: number for number, case_id in enumerate(case_ids)}
        self._regions: dict[int, dict[int, list[_Marked]]] = {}
        columns = (*REGIONS.names, "class", "mask_case_id", "mask_bit")
        for case_id, *values, label, owner, bit in zip(*(regions[name].tolist() for name in columns), strict=True):
            if case_id in position:
                marked = _Marked(Region(*values), owner, bit)
                self._regions.setdefault(position[case_id], {}).setdefault(label, []).append(marked)

    def draw(self, position: int) -> tuple[Float[np.ndarray, "r h w"], Int[np.ndarray, " r"]]:
        """Draw the regions of a case. Regions of one class add up.

        Args:
            position: position of the case.

        Returns:
            Float32 maps with cells of `CELL_PX` pixels, and the index of the class of each; -1 for no class. Both are
            empty for a case without regions.
        """
        by_class = self._regions.get(position, {})
        maps = np.zeros((len(by_class), *(side // CELL_PX for side in self._frame)), dtype=np.float32)
        for drawn, regions in zip(maps, by_class.values(), strict=True):
            for marked in regions:
                drawn += self._draw(marked)
        return maps, np.array(list(by_class), dtype=np.int64)

    def _draw(self, marked: _Marked) -> Float[np.ndarray, "h w"]:
        if marked.region.kind == "mask":
            return draw_mask((self._data.read_region_bits(marked.mask_case_id) & marked.mask_bit) > 0)
        return draw_region(marked.region, self._frame, self._shape)
