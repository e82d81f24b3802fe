import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import colormaps

from ggcam.data.case import Region
from ggcam.errors import ImageError
from ggcam.gaze.fixations import Fixations
from ggcam.report.overlay import (
    cam_overlay,
    draw_regions,
    draw_scanpath,
    enlarge,
    png_bytes,
    save_png,
    stretch_to_uint8,
    to_rgb,
    unit_range,
)


def x_ray(seed=0, shape=(64, 48)):
    return np.random.default_rng(seed).integers(0, 256, size=shape, dtype=np.uint8)


def changed(image, drawn):
    return (to_rgb(image) != drawn).any(axis=2)


def test_the_x_ray_stays_as_it_was_where_the_cam_is_low_and_changes_where_it_is_high():
    image, cam = x_ray(), np.zeros((8, 6))
    cam[6, 1] = 5.0
    drawn = cam_overlay(image, cam)
    assert drawn.shape == (64, 48, 3)
    assert not changed(image, drawn)[:32].any()
    difference = np.abs(drawn.astype(int) - to_rgb(image)).sum(axis=2)
    row, column = np.unravel_index(cv2.blur(difference.astype(float), (5, 5)).argmax(), difference.shape)
    assert abs(row - 52) <= 4
    assert abs(column - 12) <= 4


@pytest.mark.parametrize(
    "cam", [np.full((4, 3), 2.5), np.full((4, 3), np.nan), np.zeros((4, 3)), np.full((4, 3), -np.inf)]
)
def test_a_cam_that_says_nothing_leaves_the_image(cam):
    np.testing.assert_array_equal(cam_overlay(x_ray(), cam), to_rgb(x_ray()))


def test_a_cell_that_is_not_finite_is_left_blank_and_the_others_are_shown():
    cam = np.zeros((4, 3))
    cam[0, 0], cam[3, 2] = np.nan, 1.0
    drawn = changed(x_ray(), cam_overlay(x_ray(), cam))
    assert not drawn[:16, :16].any()
    assert drawn[56, 40]


@given(st.integers(0, 1000), st.floats(0.1, 50), st.floats(-20, 20))
@settings(max_examples=20, deadline=None)
def test_scale_and_shift_of_the_cam_change_nothing(seed, scale, shift):
    cam = np.random.default_rng(seed).normal(size=(5, 4))
    a, b = cam_overlay(x_ray(), cam).astype(int), cam_overlay(x_ray(), scale * cam + shift).astype(int)
    assert np.abs(a - b).max() <= 3


def test_percentiles_keep_one_hot_cell_from_hiding_the_rest():
    values = np.append(np.linspace(0, 1, 99), 1000.0).reshape(10, 10)
    assert unit_range(values).ravel()[98] < 0.01
    assert unit_range(values, (2, 98)).ravel()[98] == 1
    assert unit_range(values, (2, 98)).min() == 0


def test_sixteen_bits_are_stretched_and_eight_stay():
    deep = np.linspace(1000, 3000, 64 * 48).reshape(64, 48).astype(np.uint16)
    assert (stretch_to_uint8(deep).min(), stretch_to_uint8(deep).max()) == (0, 255)
    np.testing.assert_array_equal(stretch_to_uint8(x_ray()), x_ray())
    assert stretch_to_uint8(np.full((4, 4), 7, np.uint16)).max() == 0
    assert cam_overlay(deep, np.eye(4)).dtype == np.uint8


def test_an_overlay_keeps_the_colours_of_its_image():
    colours = np.random.default_rng(0).integers(0, 256, (64, 48, 3)).astype(np.uint8)
    np.testing.assert_array_equal(cam_overlay(colours, np.zeros((4, 3))), colours)
    half = np.repeat([[0.0, 1.0]], 2, axis=0)
    drawn = cam_overlay(colours, half)
    np.testing.assert_array_equal(drawn[:, :8], colours[:, :8])
    assert not np.array_equal(drawn[:, -8:], colours[:, -8:])
    np.testing.assert_array_equal(to_rgb(colours.astype(np.uint16) * 257), colours)


@pytest.mark.parametrize("kind", ["grey", "sixteen bits", "colour"])
def test_an_overlay_is_the_weighted_mean_of_image_and_colours(kind):
    rng = np.random.default_rng(3)
    image = {
        "grey": x_ray(),
        "sixteen bits": rng.integers(0, 65536, (64, 48)).astype(np.uint16),
        "colour": rng.integers(0, 256, (64, 48, 3)).astype(np.uint8),
    }[kind]
    cam = np.add.outer(np.linspace(0, 0.5, 64), np.linspace(0, 0.5, 48))
    colours = colormaps["inferno"](np.rint(255 * cam).astype(int))[:, :, :3] * 255
    alpha = 0.65 * cam[:, :, None]
    expected = (1 - alpha) * to_rgb(image) + alpha * colours
    assert np.abs(cam_overlay(image, cam) - expected).max() <= 2


def test_a_circle_lies_on_its_fixation_and_grows_with_its_duration():
    black = np.zeros((200, 100, 3), np.uint8)
    fixations = Fixations.build([30, 70], [50, 150], duration_s=[0.1, 0.9])
    drawn = draw_scanpath(black, fixations, max_radius_px=12)
    assert not black.any()
    for x, y, radius in ((30, 50, 4), (70, 150, 12)):
        alone = draw_scanpath(black, fixations.select(fixations.x_px == x), max_radius_px=radius)
        rows, columns = np.nonzero(alone.max(axis=2) > 60)
        assert (rows.mean() + 0.5, columns.mean() + 0.5) == pytest.approx((y, x), abs=0.3)
        assert np.ptp(rows) + 1 == pytest.approx(2 * radius, abs=2)
        assert drawn[y, x].any()
    assert drawn[100, 50].any(), "a line joins the two"
    assert (drawn[50, 30] != drawn[150, 70]).any(), "early and late differ in colour"


def test_a_scanpath_of_none_draws_none_and_one_off_the_image_does_no_harm():
    canvas = to_rgb(x_ray())
    np.testing.assert_array_equal(draw_scanpath(canvas, Fixations.empty()), canvas)
    draw_scanpath(canvas, Fixations.build([-500, 20, 9000], [10, -70, 30], duration_s=[0, 0, 0]))


def test_outlines_lie_on_the_ends_of_their_region():
    black = np.zeros((100, 100, 3), np.uint8)
    drawn = {kind: draw_regions(black, [Region("f", kind, 20, 30, 60, 80)]).any(axis=2) for kind in ("box", "ellipse")}
    for found in drawn.values():
        rows, columns = np.nonzero(found)
        assert (rows.min(), rows.max()) == pytest.approx((30, 80), abs=1.5)
        assert (columns.min(), columns.max()) == pytest.approx((20, 60), abs=1.5)
        assert not found[55, 40]
    assert drawn["box"][31:33, 20:23].any()
    assert not drawn["ellipse"][25:33, 15:23].any()


def test_an_image_is_enlarged_by_whole_numbers_until_it_is_large_enough():
    assert enlarge(x_ray(), 100).shape == (192, 144)
    assert enlarge(x_ray(), 48).shape == (64, 48)


def test_a_png_holds_the_colours_in_their_order(tmp_path):
    image = np.zeros((3, 2, 3), np.uint8)
    image[0, 0] = (255, 128, 1)
    save_png(tmp_path / "a.png", image)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "a.png"))[:, :, ::-1], image)
    grey = cv2.imdecode(np.frombuffer(png_bytes(x_ray()), np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(grey, x_ray())


def test_an_image_that_no_png_can_hold_is_refused():
    with pytest.raises((ImageError, cv2.error)):
        png_bytes(np.zeros((0, 0), np.uint8))
