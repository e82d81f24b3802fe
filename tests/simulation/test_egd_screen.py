from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggcam.simulation.egd_screen import SimulatedScreen

SIZES = [(256, 208), (208, 256), (3056, 2544), (2544, 3056), (512, 512)]


def original_mapping(fpogx: float, fpogy: float, height: int, width: int) -> tuple[int, int, bool]:
    """Map one fixation step by step as published; the last value tells whether it is on the image."""
    ratio = 1024 / max(height, width)
    pad_x, pad_y = 1920 - int(width * ratio), 1024 - int(height * ratio)
    top, left = pad_y // 2, pad_x // 2
    bottom, right = pad_y - top, pad_x - left
    eye_x, eye_y = fpogx * 1920, fpogy * 1080
    inside = left < eye_x < 1920 - right and top < eye_y < 1080 - bottom
    x, y = (eye_x - left, eye_y - top) if inside else (-1, -1)
    return int(width / (1920 - left - right) * x), int(height / (1080 - top - bottom) * y), inside


@pytest.mark.parametrize(("height", "width"), SIZES)
@given(fpogx=st.floats(-0.3, 1.3), fpogy=st.floats(-0.3, 1.3))
def test_to_original_equals_the_published_mapping(height: int, width: int, fpogx: float, fpogy: float):
    x, y = SimulatedScreen(height, width).to_original(np.array([fpogx]), np.array([fpogy]))
    expected_x, expected_y, inside = original_mapping(fpogx, fpogy, height, width)
    if inside:
        assert (x[0], y[0]) == (expected_x, expected_y)
    else:
        assert x[0] < 0
        assert y[0] < 0
        assert x[0] <= expected_x
        assert y[0] <= expected_y


@pytest.mark.parametrize(("height", "width"), SIZES)
@given(x=st.floats(0.02, 0.98), y=st.floats(0.02, 0.98))
def test_mapping_to_the_screen_and_back_is_exact_to_a_pixel(height: int, width: int, x: float, y: float):
    screen = SimulatedScreen(height, width)
    position = np.array([x * width]), np.array([y * height])
    back = screen.to_original(*screen.to_fractions(*position))
    # Truncated to whole pixels, after rounding to five digits: 0.02 screen pixels, at most 0.06 image pixels.
    assert -0.07 <= position[0][0] - back[0][0] < 1.07
    assert -0.07 <= position[1][0] - back[1][0] < 1.07


def test_pads_equal_the_documented_example():
    assert SimulatedScreen(3056, 2544).pads == (0, 0, 534, 534)
    assert SimulatedScreen(2544, 3056).pads == (86, 86, 448, 448)
