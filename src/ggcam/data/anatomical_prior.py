"""Where a finding tends to be in the chest, from a table of the usual anatomy.

The table is fixed, not estimated from regions of the training cases: gaze is needed most where no regions are marked,
and a table cannot carry anything from validation or test cases into training.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from ggcam.data.prepared import PreparedData
from ggcam.errors import ConfigError
from ggcam.gaze.mentions import soft_range
from ggcam.utils.documents import read_toml

TABLE = Path(__file__).with_name("anatomical_prior.toml")

MIN_PRIOR = 0.1
"""Prior outside the areas of a finding: unusual, not impossible."""

CHEST = "chest"
"""Name of the region around lungs and heart."""

_PARTS = ("left lung", "right lung", "cardiac silhouette")
"""Regions that span the chest together, where it is not marked itself."""

Column = Float[np.ndarray, " n"]
Rectangles = tuple[tuple[float, float, float, float], ...]


def prior_weights(finding: str, across: Column, down: Column) -> Column:
    """Return how usual it is that a finding lies at each place.

    Args:
        finding: name of the finding, in upper or lower case.
        across: position in the chest, from 0 at the left edge of the image's chest (the patient's right) to 1.
        down: position in the chest, from 0 at the top to 1 at the bottom.

    Returns:
        `MIN_PRIOR` to 1, shape (n,); 1 everywhere for a finding that is not in the table.

    Example:
        >>> prior_weights("Cardiomegaly", np.array([0.55, 0.1]), np.array([0.75, 0.2])).round(2)
        array([1. , 0.1])
    """
    rectangles = _areas().get(finding.lower())
    if rectangles is None:
        return np.ones(np.shape(across))
    inside = [soft_range(across, x0, x1) * soft_range(down, y0, y1) for x0, y0, x1, y1 in rectangles]
    return MIN_PRIOR + (1 - MIN_PRIOR) * np.max(inside, axis=0)


@cache
def _areas() -> dict[str, Rectangles]:
    """Finding in lower case -> its rectangles. Sides at the edge of the chest have no soft edge."""
    table = read_toml(TABLE, ConfigError)
    edges = {0.0: -np.inf, 1.0: np.inf}

    def rectangle(sides: list[float]) -> tuple[float, float, float, float]:
        x0, y0, x1, y1 = (edges.get(side, side) for side in sides)
        return x0, y0, x1, y1

    return {
        finding.lower(): tuple(rectangle(sides) for area in areas for sides in table["areas"][area])
        for finding, areas in table["findings"].items()
    }


def chest_boxes(data: PreparedData) -> Float[np.ndarray, "cases 4"]:
    """Return the box around lungs and heart of each case.

    Args:
        data: the prepared folder.

    Returns:
        Left, top, right and bottom in pixels of the frame, in the order of `data.cases`: of the region "chest", or
        around the boxes of lungs and heart; without any of these, of the whole image.
    """
    regions = data.regions.assign(name=data.regions["name"].str.lower())
    corners = ["x0_px", "y0_px", "x1_px", "y1_px"]
    chest = regions.loc[regions["name"] == CHEST].groupby("case_id")[corners].mean()
    parts = regions.loc[regions["name"].isin(_PARTS)].groupby("case_id")
    around = pd.concat([parts[corners[:2]].min(), parts[corners[2:]].max()], axis=1)
    cases = data.cases.set_index("case_id")
    image = pd.DataFrame(
        {
            "x0_px": cases["shift_x_px"],
            "y0_px": cases["shift_y_px"],
            "x1_px": cases["shift_x_px"] + cases["scale_x"] * cases["raw_width_px"],
            "y1_px": cases["shift_y_px"] + cases["scale_y"] * cases["raw_height_px"],
        }
    )
    boxes = chest.combine_first(around).combine_first(image).loc[cases.index, corners].to_numpy(np.float64)
    # At least a pixel wide and high, because positions are divided by the sides.
    return np.concatenate([boxes[:, :2], np.maximum(boxes[:, 2:], boxes[:, :2] + 1)], axis=1)
