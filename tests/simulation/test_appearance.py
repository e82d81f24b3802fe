"""Markers are drawn inside their box, and their place does not depend on the marker."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from ggcam.simulation.appearance import MARKER_OPACITY, MARKERS, add_marker
from ggcam.simulation.canvas import Canvas

CANVAS = Canvas(128, 104)


@pytest.mark.parametrize("marker", range(len(MARKERS)))
@pytest.mark.parametrize("seed", range(5))
def test_a_marker_brightens_only_its_box(marker: int, seed: int):
    image = np.full((128, 104), 0.1, np.float32)
    box = add_marker(CANVAS, image, marker, np.random.default_rng(seed))
    rows, columns = np.nonzero(image > 0.1 + 0.02)
    assert len(rows) > 5
    margin_px = 1.5  # of the blur
    assert box.x0_px - margin_px <= columns.min() + 1
    assert columns.max() <= box.x1_px + margin_px
    assert box.y0_px - margin_px <= rows.min() + 1
    assert rows.max() <= box.y1_px + margin_px
    assert 0.1 + 0.6 * MARKER_OPACITY[0] * 0.83 < image.max() < 0.1 + MARKER_OPACITY[1] * 0.9


def test_markers_differ_in_shape_but_not_in_place():
    drawn = []
    for marker in range(len(MARKERS)):
        image = np.zeros((128, 104), np.float32)
        drawn.append((add_marker(CANVAS, image, marker, np.random.default_rng(2)), image))
    boxes = {box for box, _ in drawn}
    assert len(boxes) == 1
    for (_, first), (_, second) in combinations(drawn, 2):
        assert np.abs(first - second).max() > 0.1
