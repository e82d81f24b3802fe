from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggcam.data.anatomical_prior import MIN_PRIOR, TABLE, chest_boxes, prior_weights
from ggcam.data.prepared import load_prepared
from ggcam.data.schema import REGIONS
from ggcam.data.sources.reflacx_labels import CLASS_NAMES
from ggcam.errors import ConfigError
from ggcam.utils.documents import read_toml

CONTENT = read_toml(TABLE, ConfigError)


def test_every_area_lies_in_the_chest_and_every_finding_has_areas():
    for rectangles in CONTENT["areas"].values():
        for x0, y0, x1, y1 in rectangles:
            assert 0 <= x0 < x1 <= 1
            assert 0 <= y0 < y1 <= 1
    assert all(areas and set(areas) <= set(CONTENT["areas"]) for areas in CONTENT["findings"].values())
    assert set(CONTENT["findings"]) >= set(CLASS_NAMES) - {"Support devices"}  # devices lie anywhere


@pytest.mark.parametrize(
    ("finding", "inside", "outside"),
    [
        ("Enlarged cardiac silhouette", (0.55, 0.75), (0.1, 0.2)),
        ("CARDIOMEGALY", (0.55, 0.75), (0.1, 0.2)),
        ("Pleural abnormality", (0.05, 0.95), (0.2, 0.3)),
        ("Pleural abnormality", (0.95, 0.95), (0.5, 0.5)),
        ("Pneumothorax", (0.2, 0.05), (0.5, 0.8)),
        ("Consolidation", (0.2, 0.4), (0.5, 0.4)),
    ],
)
def test_findings_are_where_the_anatomy_has_them(finding, inside, outside):
    across, down = np.array([inside, outside]).T
    high, low = prior_weights(finding, across, down)
    assert high > 0.8
    assert low < 0.3


@given(
    st.sampled_from([*CLASS_NAMES, "something else"]),
    st.lists(st.tuples(st.floats(-2, 3), st.floats(-2, 3)), min_size=1, max_size=20),
)
def test_weights_are_bounded_and_even_for_an_unknown_finding(finding, points):
    across, down = np.array(points).T
    weights = prior_weights(finding, across, down)
    assert ((weights >= MIN_PRIOR) & (weights <= 1 + 1e-12)).all()
    if finding == "something else":
        assert (weights == 1).all()


def test_the_chest_is_marked_or_spanned_by_lungs_and_heart_or_the_image(prepared):
    data = load_prepared(prepared)
    chest, parts, neither = data.cases["case_id"].tolist()[:3]
    rows = [
        (chest, "Chest", "box", 10.0, 20.0, 50.0, 60.0),
        (chest, "left lung", "box", 0.0, 0.0, 5.0, 5.0),
        (parts, "left lung", "box", 30.0, 8.0, 50.0, 40.0),
        (parts, "right lung", "box", 5.0, 6.0, 25.0, 42.0),
        (parts, "cardiac silhouette", "box", 20.0, 25.0, 40.0, 45.0),
        (parts, "Nodule", "box", 0.0, 0.0, 60.0, 60.0),
    ]
    boxes = chest_boxes(replace(data, regions=pd.DataFrame(rows, columns=REGIONS.names)))
    assert boxes[0].tolist() == [10, 20, 50, 60]
    assert boxes[1].tolist() == [5, 6, 50, 45]
    case = data.cases.set_index("case_id").loc[neither]
    left, top = case["shift_x_px"], case["shift_y_px"]
    width, height = case["scale_x"] * case["raw_width_px"], case["scale_y"] * case["raw_height_px"]
    np.testing.assert_allclose(boxes[2], [left, top, left + width, top + height])
    assert len(boxes) == len(data.cases)
    empty = [(chest, "chest", "box", 10.0, 20.0, 10.0, 20.0)]
    narrow = chest_boxes(replace(data, regions=pd.DataFrame(empty, columns=REGIONS.names)))[0]
    assert narrow.tolist() == [10, 20, 11, 21]
