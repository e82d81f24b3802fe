from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggcam.data.affine import Affine
from ggcam.data.case import Case, Frame, Region
from ggcam.errors import ConfigError, DataError
from ggcam.gaze.fixations import Fixations

sides = st.integers(1, 5000)


@given(sides, sides)
def test_the_whole_image_fits_and_touches_two_sides(height, width):
    frame = Frame(1536, 1280)
    affine = frame.fit(height, width)
    x = affine.apply_x(np.array([0.0, width]))
    y = affine.apply_y(np.array([0.0, height]))
    assert x[0] >= 0
    assert y[0] >= 0
    assert x[1] <= frame.width_px + 1e-6
    assert y[1] <= frame.height_px + 1e-6
    assert np.isclose(x[1] - x[0], frame.width_px) or np.isclose(y[1] - y[0], frame.height_px)
    # centred to a pixel
    assert abs(x[0] - (frame.width_px - x[1])) <= 1 + 1e-6
    assert abs(y[0] - (frame.height_px - y[1])) <= 1 + 1e-6


@given(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), st.floats(0.01, 10), st.floats(0.01, 10))
def test_the_inverse_leads_back(x, y, scale_x, scale_y):
    affine = Affine(scale_x, 3.0, scale_y, -7.0)
    back = affine.inverse()
    assert back.apply_x(affine.apply_x(np.array([x])))[0] == pytest.approx(x, abs=1e-6)
    assert back.apply_y(affine.apply_y(np.array([y])))[0] == pytest.approx(y, abs=1e-6)


def test_fixations_and_their_degrees_move_together():
    moved = Affine(0.5, 10, 0.25, 0).apply(Fixations.build([100], [200], px_per_degree=(80, 40)))
    assert (moved.x_px[0], moved.y_px[0]) == (60, 50)
    assert (moved.px_per_degree_x[0], moved.px_per_degree_y[0]) == (40, 10)


def test_a_flip_keeps_a_region_the_right_way_round():
    moved = Region("a", "box", 10, 20, 30, 40).transformed(Affine(scale_x=-1, shift_x_px=100))
    assert (moved.x0_px, moved.x1_px) == (70, 90)


@pytest.mark.parametrize("text", ["1536", "1536*1280", "axb", "", "1x2x3"])
def test_a_frame_size_of_another_form_is_refused(text):
    with pytest.raises(ConfigError, match="HEIGHTxWIDTH"):
        Frame.parse(text)


def test_a_frame_that_does_not_divide_names_the_nearest_that_does():
    with pytest.raises(ConfigError, match="992x800"):
        Frame.parse("1000x800")
    assert str(Frame.parse("1536x1280")) == "1536x1280"


def test_a_case_of_several_classes_has_no_class_of_its_own():
    assert Case("a", "p", 2, Path("a.png")).class_index == 2
    with pytest.raises(DataError, match=r"multi-label(?s:.*)case a"):
        _ = Case("a", "p", (1, None, 0), Path("a.png")).class_index
