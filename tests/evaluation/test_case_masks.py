"""The finding of a case on the CAM's grid, from boxes and from masks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ggcam.data.case import Case, Region, Source
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.region_masks import Polygons
from ggcam.evaluation.cam_metrics import CaseMasks

SIZE = 64
TRIANGLE = Polygons(((0.0, 0.0, 32.0, 0.0, 0.0, 32.0),))


@pytest.fixture
def masks(tmp_path: Path) -> CaseMasks:
    """A case with a triangle of one finding and a box of another, and one case without any."""
    cv2.imwrite(str(tmp_path / "a.png"), np.full((SIZE, SIZE), 9, np.uint8))
    box = Region("b", "box", 40, 40, 64, 64)
    cases = (
        Case("both", "p", 0, tmp_path / "a.png", regions=(box,), region_masks={"a": TRIANGLE}),
        Case("none", "q", 1, tmp_path / "a.png"),
    )
    config = PrepareConfig(size=f"{SIZE}x{SIZE}", workers=1, split_fractions=(1.0, 0.0, 0.0))
    data = prepare_source(Source("mine", ("a", "b"), cases), tmp_path / "out", config)
    rows = data.cases.iloc[[0, 0, 0, 1]]
    return CaseMasks.from_data(data, rows, (8, 8), findings=["a", "b", "c", "a"])


def test_a_finding_covers_the_cells_that_its_mask_touches(masks: CaseMasks):
    triangle = np.array([[row + column < 4 for column in range(8)] for row in range(8)])
    np.testing.assert_array_equal(masks.finding[0], triangle)
    corner = np.zeros((8, 8), bool)
    corner[5:, 5:] = True
    np.testing.assert_array_equal(masks.finding[1], corner)
    assert not masks.finding[2:].any()


def test_the_area_of_a_finding_is_that_of_its_mask(masks: CaseMasks):
    assert masks.finding_share[0] == pytest.approx(TRIANGLE.read(SIZE, SIZE).mean(), rel=0.1)
    assert masks.finding_share[1] == pytest.approx((24 / 64) ** 2)
    assert masks.finding_share[2:].tolist() == [0, 0]


def test_all_findings_of_a_case_are_united(tmp_path: Path, masks: CaseMasks):
    from ggcam.data.prepared import load_prepared

    data = load_prepared(tmp_path / "out")
    together = CaseMasks.from_data(data, data.cases, (8, 8))
    np.testing.assert_array_equal(together.finding[0], masks.finding[0] | masks.finding[1])
