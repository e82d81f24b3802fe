import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ggcam.data.case import Frame
from ggcam.data.pixel_arrays import resize_mask, resize_to_frame, to_channels, to_integers, to_uint8
from ggcam.gaze.fixations import Fixations

RNG = np.random.default_rng(7)
GREY8 = RNG.integers(0, 256, (40, 30)).astype(np.uint8)


def test_integers_stay_as_they_are():
    assert to_integers(GREY8) is GREY8


def test_sixteen_bits_become_eight_by_rounding():
    wide = np.arange(0, 65536, dtype=np.uint16)[None]
    narrow = to_uint8(wide)
    assert narrow.dtype == np.uint8
    np.testing.assert_array_equal(narrow[0], [round(int(value) / 257) for value in wide[0]])
    assert to_uint8(GREY8) is GREY8


@settings(max_examples=80, deadline=None)
@given(st.data(), st.integers(40, 900), st.integers(40, 900), st.sampled_from([(128, 96), (256, 320), (64, 64)]))
def test_a_spot_is_placed_by_the_map_of_the_frame(data, height, width, size):
    frame = Frame(*size)
    radius = max(height, width) // 16 + 2
    row = data.draw(st.integers(0, height - 1))
    column = data.draw(st.integers(0, width - 1))
    raw = np.zeros((height, width), np.uint16)
    raw[max(0, row - radius) : row + radius + 1, max(0, column - radius) : column + radius + 1] = 60000
    framed = resize_to_frame(raw, frame).astype(float)
    rows, columns = np.nonzero(raw)
    centre = Fixations.build([columns.mean() + 0.5], [rows.mean() + 0.5])
    expected = frame.fit(height, width).apply(centre)
    y, x = (np.indices(framed.shape) + 0.5).reshape(2, -1)
    weight = framed.ravel()
    assert np.average(x, weights=weight) == pytest.approx(expected.x_px[0], abs=0.5)
    assert np.average(y, weights=weight) == pytest.approx(expected.y_px[0], abs=0.5)


def test_shrinking_by_a_whole_factor_averages_areas_exactly():
    raw = RNG.integers(0, 65536, (256, 192)).astype(np.uint16)
    framed = resize_to_frame(raw, Frame(64, 64))
    means = raw.reshape(64, 4, 48, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(framed[:, 8:56], means, atol=0.51)
    assert not framed[:, :8].any()
    assert not framed[:, 56:].any()


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 300), st.integers(8, 300), st.sampled_from([np.uint8, np.uint16]))
def test_a_white_image_fills_the_fitted_size_and_nothing_else(height, width, dtype):
    frame = Frame(96, 64)
    framed = resize_to_frame(np.full((height, width), np.iinfo(dtype).max, dtype), frame)
    assert framed.dtype == dtype
    assert framed.shape == (96, 64)
    rows, columns = np.nonzero(framed)
    fitted = frame.fitted_size(height, width)
    affine = frame.fit(height, width)
    assert (rows.min(), columns.min()) == (affine.shift_y_px, affine.shift_x_px)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == fitted
    assert (framed[framed > 0] == np.iinfo(dtype).max).all()


def test_enlarging_is_linear_and_stays_in_place():
    raw = np.zeros((16, 16), np.uint8)
    raw[:, 8:] = 200
    framed = resize_to_frame(raw, Frame(64, 64)).astype(float)
    assert framed[32, 31] < 100 < framed[32, 32]
    assert framed[32, 31] + framed[32, 32] == pytest.approx(200, abs=1)


@settings(max_examples=40, deadline=None)
@given(st.integers(20, 400), st.integers(20, 400))
def test_a_mask_keeps_its_area_and_place(height, width):
    mask = np.zeros((height, width), bool)
    mask[height // 4 : height // 2, width // 4 : width // 2] = True
    frame = Frame(128, 96)
    framed = resize_mask(mask, frame)
    affine = frame.fit(height, width)
    rows, columns = np.nonzero(framed)
    assert rows.min() == pytest.approx(affine.apply_y(np.array([height // 4]))[0], abs=0.51)
    assert rows.max() + 1 == pytest.approx(affine.apply_y(np.array([height // 2]))[0], abs=0.51)
    assert columns.min() == pytest.approx(affine.apply_x(np.array([width // 4]))[0], abs=0.51)
    assert columns.max() + 1 == pytest.approx(affine.apply_x(np.array([width // 2]))[0], abs=0.51)


def test_a_mask_pixel_is_inside_when_the_mask_is_at_its_centre():
    mask = np.zeros((96, 96), bool)  # three pixels for each of the frame's
    mask[:, 1] = mask[:, 3] = mask[:, 5] = True
    framed = resize_mask(mask, Frame(32, 32))
    assert framed[:, 0].all()
    assert not framed[:, 1:].any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(40, 56), (300, 200)])
def test_colours_are_resized_like_each_of_their_channels(dtype, size):
    colour = RNG.integers(0, np.iinfo(dtype).max + 1, (*size, 3)).astype(dtype)
    framed = resize_to_frame(colour, Frame(96, 64))
    alone = [resize_to_frame(np.ascontiguousarray(colour[..., channel]), Frame(96, 64)) for channel in range(3)]
    np.testing.assert_array_equal(framed, np.stack(alone, axis=2))


def test_grey_is_repeated_and_colours_become_grey():
    repeated = to_channels(GREY8, 3)
    np.testing.assert_array_equal(repeated, np.stack([GREY8] * 3, axis=2))
    np.testing.assert_array_equal(to_channels(repeated, 1), GREY8)
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    assert (to_channels(red, 1) == 76).all()  # 0.299 * 255


def test_pixels_with_the_right_channels_stay_as_they_are():
    colour = np.zeros((4, 4, 3), np.uint16)
    assert to_channels(GREY8, 1) is GREY8
    assert to_channels(colour, 3) is colour
