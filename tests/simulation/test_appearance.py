"""What lies on an X-ray beside the patient: a marker is where it says, and its place gives nothing away."""

from __future__ import annotations

import numpy as np
import pytest

from ggcam.simulation.appearance import MARKER_OPACITY, MARKERS, lay_marker
from ggcam.simulation.canvas import Canvas

CANVAS = Canvas(128, 104)


@pytest.mark.parametrize("marker", range(len(MARKERS)))
@pytest.mark.parametrize("seed", range(5))
def test_a_marker_brightens_its_box_and_nothing_else(marker: int, seed: int):
    image = np.full((128, 104), 0.1, np.float32)
    box = lay_marker(CANVAS, image, marker, np.random.default_rng(seed))
    rows, columns = np.nonzero(image > 0.1 + 0.02)
    assert len(rows) > 5
    room = 1.5  # of the blur
    assert box.x0_px - room <= columns.min() + 1
    assert columns.max() <= box.x1_px + room
    assert box.y0_px - room <= rows.min() + 1
    assert rows.max() <= box.y1_px + room
    assert 0.1 + 0.6 * MARKER_OPACITY[0] * 0.83 < image.max() < 0.1 + MARKER_OPACITY[1] * 0.9


def test_the_markers_differ_in_shape_and_not_in_place():
    drawn = []
    for marker in range(len(MARKERS)):
        image = np.zeros((128, 104), np.float32)
        drawn.append((lay_marker(CANVAS, image, marker, np.random.default_rng(2)), image))
    boxes = {box for box, _ in drawn}
    assert len(boxes) == 1
    assert all(np.abs(a - b).max() > 0.1 for a, b in ((drawn[0][1], drawn[1][1]), (drawn[1][1], drawn[2][1])))
