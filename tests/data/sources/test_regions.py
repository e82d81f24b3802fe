"""Cleaning regions and matching their names; the files that hold them have tests of their own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggcam.data.case import Region
from ggcam.data.region_masks import Polygons
from ggcam.data.sources.regions import NOT_A_CLASS, RegionRows, check_mask_counts, group_regions, name_like_classes
from ggcam.errors import DataError, TableError

PATH = Path("regions.csv")


def rows(*corners, case=None, kind="box"):
    n = len(corners)
    return RegionRows(
        np.zeros(n, np.int64) if case is None else np.array(case),
        np.full(n, "Mass"),
        np.full(n, kind),
        np.array(corners, dtype=np.float64).reshape(-1, 4),
        [f"regions.csv:{row}" for row in range(2, n + 2)],
    )


def group(given_rows, sizes=((20, 30),)):
    dropped: Counter[str] = Counter()
    return group_regions(given_rows, np.array(sizes), dropped, PATH), dict(+dropped)


SIDE = st.integers(-10, 40).map(float)


@given(st.lists(st.tuples(SIDE, SIDE, SIDE, SIDE), max_size=8))
def test_regions_are_clipped_and_every_row_is_kept_or_counted(found):
    corners = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in found]
    (kept,), dropped = group(rows(*corners))
    expected = {}
    for x0, y0, x1, y1 in corners:
        clipped = (max(x0, 0), max(y0, 0), min(x1, 30), min(y1, 20))
        if clipped[0] < clipped[2] and clipped[1] < clipped[3]:
            expected[Region("Mass", "box", *clipped)] = None
    assert kept == tuple(expected)
    lost = sum(n for reason, n in dropped.items() if "kept" not in reason)
    assert lost + len(kept) == len(corners)


def test_regions_are_grouped_by_image_in_the_order_of_the_rows():
    found, dropped = group(
        rows((1, 2, 3, 4), (5, 6, 7, 8), (0, 0, 30, 20), (1, 2, 3, 4), case=[1, 0, 1, 1]), [(20, 30)] * 3
    )
    assert found[0] == (Region("Mass", "box", 5, 6, 7, 8),)
    assert found[1] == (Region("Mass", "box", 1, 2, 3, 4), Region("Mass", "box", 0, 0, 30, 20))
    assert found[2] == ()
    assert dropped == {"repeated region": 1}


def test_each_kind_of_bad_region_is_counted_under_its_reason():
    (kept,), dropped = group(rows((3, 3, 3, 9), (40, 3, 50, 9), (-5, -5, 10, 10), (0, 0, 30.6, 20), kind="ellipse"))
    assert [region.kind for region in kept] == ["ellipse"] * 2
    assert dropped == {
        "region without area": 1,
        "region outside its image": 1,
        "region clipped to its image (kept)": 1,
    }


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (rows((1, 2, 3, 4), (9, 2, 3, 4)), r"right or bottom edge(.|\n)*regions\.csv:3(.|\n)*x from 9 to 3"),
        (rows((1, 9, 3, 4)), r"right or bottom edge(.|\n)*csv:2(.|\n)*y from 9 to 4"),
        (rows((1, 2, np.nan, 4)), r"not a finite number(.|\n)*csv:2(.|\n)*x from 1 to nan"),
        (rows((1, 2, np.inf, 4)), r"not a finite number(.|\n)*inf"),
        (rows((1, 2, 3, 4), kind="circle"), r"unknown kind(.|\n)*box or ellipse(.|\n)*'circle'"),
    ],
)
def test_invalid_regions_are_refused_with_their_row(bad, message):
    with pytest.raises(TableError, match=message):
        group(bad)


def test_boxes_of_images_of_another_size_are_refused():
    with pytest.raises(DataError, match=r"60% of the boxes extend beyond(.|\n)*not resized ones"):
        group(rows(*[(10, 10, 60, 40)] * 12, *[(1, 1, 2, 2)] * 8))
    assert group(rows(*[(10, 10, 60, 40)] * 12))[1]["repeated region"] == 11


def test_names_are_matched_with_classes():
    dropped: Counter[str] = Counter()
    names = ["mass", "PLEURAL thickening", "Infiltrate", "left lung", "clavicle crack"]
    found = name_like_classes(names, ["Mass", "Pleural_Thickening", "Infiltration"], dropped)
    assert found == ["Mass", "Pleural_Thickening", "Infiltration", "left lung", "clavicle crack"]
    assert dropped == {NOT_A_CLASS: 1}
    assert name_like_classes(["Infiltration"], ["Infiltrate"], dropped) == ["Infiltrate"]


def test_more_masks_than_bits_are_refused():
    masks = {f"m{number:02}": Polygons(()) for number in range(17)}
    with pytest.raises(DataError, match=r"more than 16 findings(.|\n)*masks, b(.|\n)*17: m00"):
        check_mask_counts([{}, masks], ["a", "b"], Path("masks"))
