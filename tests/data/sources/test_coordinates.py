"""Every mapping of a position from a raw file to a cell of the CAM, against an oracle or its inverse.

Elsewhere: raw image -> frame (test_images, test_case), run lengths -> mask -> box (test_siim_acr), the original
procedure (test_preprocessing), augmentation (test_augment), the simulator's screens (test_egd_screen,
test_reflacx_layout), and whole files with a bright spot for each source (the tests of the sources).
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.sources.round_trip import check_gaze_on_spots, spot
from data.sources.siim_fixture import Siim
from data.sources.test_folder import write_text
from ggcam.data import sources
from ggcam.data.affine import Affine
from ggcam.data.case import Frame, Region
from ggcam.data.sources import siim_acr
from ggcam.data.sources.coordinates import CoordinateSystem
from ggcam.data.sources.egd_screen import EgdScreen
from ggcam.data.sources.fixation_rows import pixel_centre
from ggcam.data.sources.reflacx_readings import TOLERANCE_DEG, _near
from ggcam.data.tables import Table
from ggcam.gaze.fixations import Fixations
from ggcam.gaze.maps import attention_map
from ggcam.simulation.egd_screen import SimulatedScreen

SIDES = st.integers(200, 4000)
SHARES = st.floats(0.001, 0.999)


@given(st.integers(-5, 5000))
def test_a_pixel_index_becomes_the_centre_of_the_pixel(pixel):
    (centre,) = pixel_centre(np.array([float(pixel)]))
    assert centre == (pixel + 0.5 if pixel >= 0 else pixel)


@given(SIDES, SIDES, SHARES, SHARES, st.booleans())
def test_egd_cxr_maps_fractions_of_the_screen_to_the_original_pixels(height, width, across, down, with_pads):
    simulated = SimulatedScreen(height, width)
    x, y = np.array([across * width]), np.array([down * height])
    fpogx, fpogy = simulated.to_fractions(x, y)
    names = ("image_top_pad", "image_bottom_pad", "image_left_pad", "image_right_pad")
    pads = {name: np.array([str(pad)]) for name, pad in zip(names, simulated.pads, strict=True)}
    sheet = Table(Path("sheet"), pads if with_pads else {}, np.array([2]))
    screen = EgdScreen.from_pads(sheet, np.array([[height, width]]), 65.0)
    x_px, y_px = screen.to_image(np.zeros(1, int), fpogx, fpogy)
    # Fractions have five digits: 0.01 pixels of the screen at most, which may be shown three times smaller or more.
    coarse = 0.011 * screen.magnification[0]
    np.testing.assert_allclose((x_px[0], y_px[0]), (x[0], y[0]), atol=coarse.max())
    pixel_x, pixel_y = simulated.to_original(fpogx, fpogy)
    assert abs(x_px[0] - (pixel_x[0] + 0.5)) <= 0.5 + coarse[0]
    assert abs(y_px[0] - (pixel_y[0] + 0.5)) <= 0.5 + coarse[1]


@given(
    st.tuples(SIDES, SIDES),
    st.tuples(SHARES, SHARES),
    st.sampled_from(["px", "fraction", "screen_px", "screen_fraction"]),
    st.booleans(),
)
def test_coordinates_of_a_table_are_recovered_in_all_units(size, at, units, given_place):
    height, width = size
    screen, x_px, y_px = (1920, 1080), at[0] * width, at[1] * height
    ratio = min(screen[0] / width, screen[1] / height)
    left, top = (screen[0] - ratio * width) / 2, (screen[1] - ratio * height) / 2
    shown = (300.0, 100.0, 900.0, 980.0) if given_place and units.startswith("screen") else None
    if shown:
        x, y = shown[0] + at[0] * (shown[2] - shown[0]), shown[1] + at[1] * (shown[3] - shown[1])
    else:
        x, y = left + ratio * x_px, top + ratio * y_px
    recorded = {
        "px": (x_px, y_px),
        "fraction": at,
        "screen_px": (x, y),
        "screen_fraction": (x / screen[0], y / screen[1]),
    }[units]
    place = CoordinateSystem(units, screen, shown)
    back = place.to_image(np.array([recorded[0]]), np.array([recorded[1]]), np.array([size]))
    np.testing.assert_allclose((back[0][0], back[1][0]), (x_px, y_px), atol=1e-6)


@given(st.integers(0, 10**6))
def test_reflacx_keeps_points_on_or_near_the_displayed_part_as_a_loop_does(seed):
    rng = np.random.default_rng(seed)
    points, degrees = rng.uniform(-30, 130, (25, 2)), rng.uniform(1, 40, (25, 2))
    shown = np.sort(rng.uniform(0, 100, (25, 2, 2)), axis=1).reshape(25, 4)
    points[rng.random(25) < 0.1] = np.nan
    shown[rng.random(25) < 0.1] = np.nan
    for row, kept in enumerate(_near(points, shown, degrees)):
        x, y = points[row]
        x0, y0, x1, y1 = shown[row]
        beyond_x, beyond_y = max(x0 - x, x - x1, 0), max(y0 - y, y - y1, 0)
        near = beyond_x <= TOLERANCE_DEG * degrees[row, 0] and beyond_y <= TOLERANCE_DEG * degrees[row, 1]
        assert kept == (near or np.isnan(points[row]).any() or np.isnan(shown[row]).any())


@pytest.fixture(scope="module")
def two_images(tmp_path_factory):
    made = Siim(tmp_path_factory.mktemp("siim"))
    made.case(np.zeros((90, 70), np.uint8))
    made.case(np.zeros((50, 80), np.uint8), clusters=[])
    return made


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 49), st.integers(0, 79)), min_size=1, max_size=9, unique=True))
def test_siim_acr_reads_rows_first_or_columns_first(two_images, pixels):
    (key,) = two_images.gaze
    first_and_second = [((row + 0.5) / 50, (column + 0.5) / 80) for row, column in pixels]
    for order in ("row-first", "column-first"):
        points = first_and_second if order == "row-first" else [pair[::-1] for pair in first_and_second]
        two_images.gaze[key] = [(*pair, 3) for pair in points]
        gaze = siim_acr.read(two_images.write(), axis_order=order).cases[1].fixations
        assert [(int(y), int(x)) for x, y in zip(gaze.x_px, gaze.y_px, strict=True)] == pixels


@given(st.integers(1, 12), st.integers(1, 12), SHARES, SHARES, st.integers(40, 4000), st.integers(40, 4000))
def test_a_raw_position_is_drawn_in_its_cell_of_the_cam_grid(rows, columns, across, down, height, width):
    frame = Frame(32 * rows, 32 * columns)
    raw = Fixations.build([across * width], [down * height])
    placed = frame.fit(height, width).apply(raw)
    grid = (rows, columns)
    drawn = attention_map(placed, grid, (frame.height_px, frame.width_px), sigma_px=1.0)
    # By hand: the fitted image's corner, and the same share of its sides.
    fitted_height, fitted_width = frame.fitted_size(height, width)
    y = (frame.height_px - fitted_height) // 2 + down * fitted_height
    x = (frame.width_px - fitted_width) // 2 + across * fitted_width
    cell = np.unravel_index(drawn.argmax(), grid)
    # On the border of two cells either may win.
    assert abs(y - 32 * (cell[0] + 0.5)) <= 16 + 1e-6
    assert abs(x - 32 * (cell[1] + 0.5)) <= 16 + 1e-6


@given(st.floats(0.1, 5), st.floats(-50, 50), st.floats(0.1, 5), st.floats(-50, 50), st.integers(0, 10**6))
def test_regions_move_with_the_points_in_them(scale_x, shift_x, scale_y, shift_y, seed):
    rng = np.random.default_rng(seed)
    (x0, x1), (y0, y1) = np.sort(rng.uniform(0, 90, (2, 2)), axis=1)
    affine = Affine(scale_x, shift_x, scale_y, shift_y)
    gaze = Fixations.build(rng.uniform(0, 90, 30), rng.uniform(0, 90, 30))
    moved, box = affine.apply(gaze), Region("a", "box", x0, y0, x1, y1).transformed(affine)
    before = (gaze.x_px > x0) & (gaze.x_px < x1) & (gaze.y_px > y0) & (gaze.y_px < y1)
    after = (moved.x_px > box.x0_px) & (moved.x_px < box.x1_px) & (moved.y_px > box.y0_px) & (moved.y_px < box.y1_px)
    np.testing.assert_array_equal(before, after)


def test_fixations_of_a_folder_are_drawn_on_the_right_pixel_and_cell(tmp_path):
    root, rows = tmp_path / "raw", []
    for name, (height, width, row, column) in {"x/a.png": (200, 160, 20, 60), "y/b.png": (180, 300, 150, 30)}.items():
        (root / name).parent.mkdir(parents=True)
        cv2.imwrite(str(root / name), spot(height, width, row, column))
        rows.append(f"{name},{column + 0.5},{row + 0.5}")
    write_text(root / "fixations.csv", "image,x_px,y_px", *rows)
    assert check_gaze_on_spots(sources.read(root, "folder"), tmp_path / "out") == 2
