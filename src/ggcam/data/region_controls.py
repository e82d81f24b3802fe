"""Controls in place of marked regions: those of another case, or at random positions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Shaped
from numpy.random import Generator

from ggcam.data.attention import finding_regions, with_mask_bits
from ggcam.data.prepared import PreparedData
from ggcam.errors import ConfigError

Finding = tuple[str, str]
"""Case id and name of the finding."""

_PLACE = ["x0_px", "y0_px", "x1_px", "y1_px"]


def rotate_within(
    members: Shaped[np.ndarray, " n"], group: Shaped[np.ndarray, " n"], rng: Generator
) -> list[tuple[Any, Any]]:
    """Pair each member with another one of its group, at random and one to one.

    Args:
        members: cases or findings.
        group: group of each member.
        rng: random generator.

    Returns:
        Pairs of a giver and its receiver; members that are alone in their group are in no pair.
    """
    pairs: list[tuple[Any, Any]] = []
    for each in np.unique(group):
        own = members[group == each]
        if len(own) > 1:
            order = own[rng.permutation(len(own))]
            pairs += zip(order, np.roll(order, 1), strict=True)  # one cycle, so none keeps its own
    return pairs


def shuffle_regions(data: PreparedData, within_class: bool, rng: Generator) -> pd.DataFrame:
    """Give every finding of the training and validation cases the place of a finding of another case.

    Args:
        data: the prepared folder, with the attention that guides the run.
        within_class: whether the other finding has the same name.
        rng: random generator.

    Returns:
        The regions. A finding keeps its name and gets the kinds, sizes and positions of the other one's regions.

    Raises:
        ConfigError: a split has regions in a single case only, and `within_class` is false.
    """
    guiding, others = _guiding_regions(data)
    if guiding.empty:
        return data.regions
    findings = guiding.drop_duplicates(["case_id", "name"])
    owners = pd.MultiIndex.from_frame(findings.loc[:, ["case_id", "name"]])
    if within_class:
        groups = findings["split"] + "\n" + findings["name"]
        giver_of = {receiver: giver for giver, receiver in rotate_within(owners.to_numpy(), groups.to_numpy(), rng)}
    else:
        giver_of = _findings_of_another_case(findings, data, rng)
    rows = guiding.groupby(["case_id", "name"], sort=False).indices
    taken = [(owner, row) for owner in owners if owner in giver_of for row in rows[giver_of[owner]]]
    moved = guiding.iloc[[row for _, row in taken]].assign(
        case_id=[case_id for (case_id, _), _ in taken], name=[name for (_, name), _ in taken]
    )
    return pd.concat([others, moved.loc[:, others.columns]], ignore_index=True)


def _findings_of_another_case(findings: pd.DataFrame, data: PreparedData, rng: Generator) -> dict[Finding, Finding]:
    """Assign each finding one of another case of its split: finding -> the one whose place it gets."""
    names = {str(case_id): of_case["name"].tolist() for case_id, of_case in findings.groupby("case_id")}
    cases = findings.drop_duplicates("case_id")
    pairs = rotate_within(cases["case_id"].to_numpy(), cases["split"].to_numpy(), rng)
    if len(pairs) < len(cases):
        raise ConfigError(
            "regions cannot be shuffled among fewer than two cases",
            where=data.root,
            got="a single case with regions in a split",
        )
    return {
        (receiver, name): (giver, names[giver][number % len(names[giver])])
        for giver, receiver in pairs
        for number, name in enumerate(names[receiver])
    }


def scatter_regions(data: PreparedData, rng: Generator) -> pd.DataFrame:
    """Move every finding's region of the training and validation cases to a random position within the frame.

    Args:
        data: the prepared folder, with the attention that guides the run.
        rng: random generator.

    Returns:
        The regions; sizes stay the same, and masks become boxes of their size.
    """
    guiding, others = _guiding_regions(data)
    if guiding.empty:
        return data.regions
    x0, y0, x1, y1 = (guiding[name].to_numpy() for name in _PLACE)
    width, height = x1 - x0, y1 - y0
    x, y = rng.random((2, len(guiding)))
    x, y = x * (data.frame.width_px - width), y * (data.frame.height_px - height)
    moved = guiding.assign(x0_px=x, y0_px=y, x1_px=x + width, y1_px=y + height)
    moved["kind"] = moved["kind"].replace("mask", "box")
    return pd.concat([others, moved.loc[:, others.columns]], ignore_index=True)


def _guiding_regions(data: PreparedData) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the regions that guide training and validation cases, with a column "split"; and all other regions."""
    regions = finding_regions(data, data.attention)
    split_of = dict(zip(data.cases["case_id"], data.cases["split"], strict=True))
    regions = regions.assign(split=[split_of[case_id] for case_id in regions["case_id"]])
    guiding = regions.loc[regions["split"] != "test"]
    return guiding, with_mask_bits(data.regions).drop(index=guiding.index)
