import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggcam.data.case import Region
from ggcam.data.region_maps import CELL_PX, draw_mask, draw_region

FRAME = (96, 128)
sides = st.tuples(st.floats(0, 90), st.floats(4, 60))


def region(kind, x, width, y, height):
    return Region("nodule", kind, x, y, x + width, y + height)


def rasterised(r, scale=8):
    """Cover the frame with `scale` points per pixel and count those inside."""
    y, x = (np.arange(side * scale) / scale + 0.5 / scale for side in FRAME)
    if r.kind == "box":
        inside = np.outer((y > r.y0_px) & (y < r.y1_px), (x > r.x0_px) & (x < r.x1_px))
    else:
        dy = (y - (r.y0_px + r.y1_px) / 2) / ((r.y1_px - r.y0_px) / 2)
        dx = (x - (r.x0_px + r.x1_px) / 2) / ((r.x1_px - r.x0_px) / 2)
        inside = dy[:, None] ** 2 + dx**2 < 1
    cell = CELL_PX * scale
    return inside.reshape(FRAME[0] // CELL_PX, cell, FRAME[1] // CELL_PX, cell).mean(axis=(1, 3))


@pytest.mark.parametrize("kind", ["box", "ellipse"])
@given(x=sides, y=sides)
def test_a_map_is_the_fraction_of_each_cell_that_lies_inside(kind, x, y):
    each = region(kind, *x, *y)
    np.testing.assert_allclose(draw_region(each, FRAME), rasterised(each), atol=0.06)


@given(x=st.tuples(st.floats(0, 60), st.floats(4, 60)), y=st.tuples(st.floats(0, 40), st.floats(4, 50)))
def test_the_area_and_the_centre_are_those_of_the_box(x, y):
    drawn = draw_region(region("box", *x, *y), FRAME)
    assert drawn.sum() * CELL_PX**2 == pytest.approx(x[1] * y[1], rel=1e-4)


@pytest.mark.parametrize("kind", ["box", "ellipse"])
@pytest.mark.parametrize("shape", ["filled", "gaussian"])
def test_the_centre_of_mass_is_the_centre_of_the_region(kind, shape):
    each = region(kind, 50.5, 21.0, 40.25, 13.0)
    drawn = draw_region(each, FRAME, shape).astype(float)
    y, x = np.indices(drawn.shape)
    centre = np.array([(x * drawn).sum(), (y * drawn).sum()]) / drawn.sum() * CELL_PX + CELL_PX / 2
    # The mean position of what is inside a partly covered cell is not known: half a pixel at most.
    assert centre == pytest.approx([61.0, 46.75], abs=0.5)


def test_a_gaussian_has_the_total_of_the_filled_region_and_its_peak_in_the_middle():
    filled, gaussian = (
        draw_region(region("ellipse", 40, 40, 30, 40), FRAME, shape) for shape in ("filled", "gaussian")
    )
    assert gaussian.sum() == pytest.approx(filled.sum(), rel=0.01)
    assert np.unravel_index(gaussian.argmax(), gaussian.shape) in [(12, 14), (12, 15), (11, 14), (11, 15)]


@pytest.mark.parametrize("shape", ["filled", "gaussian"])
def test_outside_the_frame_and_without_area_there_is_nothing(shape):
    assert draw_region(region("box", 500, 20, 10, 20), FRAME, shape).max() < 1e-6
    assert draw_region(region("box", 50, 0, 10, 20), FRAME, shape).sum() == 0


def test_a_mask_becomes_the_fraction_of_each_cell():
    mask = np.zeros(FRAME, dtype=np.uint8)
    cv2.circle(mask, (64, 40), 21, 1, -1)
    expected = mask.reshape(24, 4, 32, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(draw_mask(mask > 0), expected, atol=1e-6)
