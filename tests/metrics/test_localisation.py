import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ggcam.metrics.localisation import (
    Pointing,
    anatomy_pointing,
    chance_level,
    mask_to_grid,
    peak_cell,
    peak_distance,
    pointing_game,
    regions_to_mask,
)


def one_hot(cells, grid):
    cam = np.zeros((len(cells), *grid))
    for i, (row, column) in enumerate(cells):
        cam[i, row, column] = 1
    return cam


def random_cases(seed, n=20, grid=(7, 5), share=0.15):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, *grid)), rng.random((n, *grid)) < share


def test_the_anatomy_metrics_are_those_of_the_original(golden):
    recorded = np.load(golden / "evaluate.npz")
    cam = one_hot(recorded["cam_argmax"], (48, 40))
    names = ["Normal", "CHF", "pneumonia"]
    found = anatomy_pointing(cam, recorded["y"], names, recorded["heart"], recorded["lung"], image_size=(1536, 1280))
    assert found["heart_interp_1"].hit.mean() == float(recorded["heart_interp_1"])
    assert found["lung_interp_1"].hit.mean() == float(recorded["lung_interp_1"])
    # A random argmax in a mask grown by a cell: about what the recorded random peaks reach.
    assert found["heart_interp_1"].chance.mean() == pytest.approx(0.7, abs=0.15)
    assert found["lung_interp_1"].chance.mean() == pytest.approx(0.23, abs=0.08)


def test_the_anatomy_metrics_look_at_the_true_class_only_and_find_it_by_name():
    grid = (6, 6)
    mediastinum, lung = np.zeros((4, *grid), bool), np.zeros((4, *grid), bool)
    mediastinum[:, 3, 3], lung[:, 1, 1] = True, True
    cam = one_hot([(3, 3), (5, 5), (0, 0), (3, 3)], grid)
    found = anatomy_pointing(cam, np.array([1, 1, 0, 2]), ["Pneumonia", "CHF", "Normal"], mediastinum, lung, (60, 60))
    assert found["heart_interp_1"].case.tolist() == [0, 1]
    assert found["heart_interp_1"].hit.tolist() == [True, False]
    assert found["heart_interp_1"].distance_px.tolist() == pytest.approx([0, 10 * np.hypot(2, 2)])
    assert found["heart_interp_1"].chance.mean() == pytest.approx(9 / 36)
    assert found["lung_interp_1"].case.tolist() == [2]
    assert found["lung_interp_1"].hit.mean() == 1
    assert anatomy_pointing(cam, np.zeros(4, int), ["a", "b"], mediastinum, lung, (60, 60)) == {}


def test_a_peak_on_the_border_looks_at_the_part_of_its_neighbourhood_that_is_there():
    truth = np.zeros((1, 4, 4), bool)
    truth[0, 3, 3] = True
    assert not pointing_game(one_hot([(0, 0)], (4, 4)), truth).any()
    truth[0, 1, 1] = True
    assert pointing_game(one_hot([(0, 0)], (4, 4)), truth).all()


@given(st.integers(0, 10_000), st.integers(0, 3))
@settings(max_examples=30, deadline=None)
def test_pointing_game_equals_a_loop_over_the_neighbourhood(seed, tolerance):
    cam, truth = random_cases(seed)
    for i, (row, column) in enumerate(peak_cell(cam)):
        assert cam[i, row, column] == cam[i].max()
        near = truth[
            i, max(row - tolerance, 0) : row + tolerance + 1, max(column - tolerance, 0) : column + tolerance + 1
        ]
        assert pointing_game(cam, truth, tolerance)[i] == near.any()


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_more_tolerance_never_loses_a_hit_and_never_lowers_the_chance(seed):
    cam, truth = random_cases(seed)
    hits = [pointing_game(cam, truth, t) for t in range(4)]
    chances = [chance_level(truth, t) for t in range(4)]
    for tight, loose in zip(range(3), range(1, 4), strict=True):
        assert (hits[loose] >= hits[tight]).all()
        assert (chances[loose] >= chances[tight]).all()


def test_the_chance_level_is_the_hit_rate_over_every_cell():
    _, truth = random_cases(3, n=6)
    within = np.random.default_rng(4).random(truth.shape) < 0.5
    everywhere = [(r, c) for r in range(7) for c in range(5)]
    for i in range(len(truth)):
        hits = pointing_game(one_hot(everywhere, (7, 5)), np.repeat(truth[i : i + 1], 35, axis=0))
        assert chance_level(truth)[i] == pytest.approx(hits.mean())
        assert chance_level(truth, within=within)[i] == pytest.approx(hits[within[i].ravel()].mean())


def test_the_distance_is_zero_on_the_truth_and_counts_pixels_off_it():
    truth = np.zeros((2, 4, 4), bool)
    truth[:, 0, 0] = True
    cam = one_hot([(0, 0), (3, 2)], (4, 4))
    assert peak_distance(cam, truth, cell_px=(10.0, 20.0)).tolist() == pytest.approx([0, np.hypot(30, 40)])


def test_constant_cams_and_empty_truths_are_misses_without_a_distance():
    truth = np.ones((2, 3, 3), bool)
    truth[1] = False
    cam = np.stack([np.full((3, 3), 0.7), one_hot([(1, 1)], (3, 3))[0]])
    assert pointing_game(cam, truth).tolist() == [False, False]
    assert np.isnan(peak_distance(cam, truth)).all()
    assert chance_level(truth).tolist() == [1, 0]
    assert np.isnan(chance_level(truth, within=np.zeros_like(truth))).all()
    pointing = Pointing.from_cams(cam, truth, (3, 3))
    assert pointing.case.tolist() == [0]
    assert np.isnan(pointing.distance_px).all()


def test_cases_without_a_truth_are_left_out():
    pointing = Pointing.from_cams(np.zeros((2, 3, 3)), np.zeros((2, 3, 3), bool), (3, 3))
    assert [len(part) for part in (pointing.case, pointing.hit, pointing.chance, pointing.distance_px)] == [0] * 4


def test_a_cam_that_is_not_finite_is_refused():
    cam = np.zeros((3, 2, 2))
    cam[2, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"1 of 3 maps .* map 2"):
        pointing_game(cam, np.ones((3, 2, 2), bool))


@given(
    st.sampled_from(["box", "ellipse"]),
    st.tuples(*[st.floats(-30, 90, width=32)] * 4),
)
@settings(max_examples=60, deadline=None)
def test_a_region_covers_every_cell_that_a_fine_raster_of_it_covers(kind, ends):
    (x0, x1), (y0, y1) = sorted(ends[:2]), sorted(ends[2:])
    frame, grid, fine = (64, 48), (8, 4), 8
    y = (np.arange(frame[0] * fine)[:, None] + 0.5) / fine
    x = (np.arange(frame[1] * fine)[None] + 0.5) / fine
    cx, cy, rx, ry = (x0 + x1) / 2, (y0 + y1) / 2, max((x1 - x0) / 2, 1e-6), max((y1 - y0) / 2, 1e-6)
    u, v = (x - cx) / rx, (y - cy) / ry
    inside = np.maximum(abs(u), abs(v)) < 1 if kind == "box" else u**2 + v**2 < 1
    raster = inside.reshape(8, 8 * fine, 4, 12 * fine).any(axis=(1, 3))
    mask = regions_to_mask([(kind, x0, y0, x1, y1)], frame, grid)
    assert (mask >= raster).all()
    # What the raster misses are slivers: a slightly larger region has them all.
    larger = np.maximum(abs(x - cx) / (rx + 0.3), abs(y - cy) / (ry + 0.3)) < 1
    assert (mask <= larger.reshape(8, 8 * fine, 4, 12 * fine).any(axis=(1, 3))).all()


def test_the_smallest_region_has_a_cell_and_a_region_off_the_frame_has_none():
    assert np.argwhere(regions_to_mask([("ellipse", 20.0, 37.0, 20.0, 37.0)], (64, 48), (8, 4))).tolist() == [[4, 1]]
    assert not regions_to_mask([("box", 50.0, 0.0, 60.0, 10.0)], (64, 48), (8, 4)).any()
    assert not regions_to_mask([], (64, 48), (8, 4)).any()


def test_a_box_that_ends_on_a_cell_s_edge_does_not_touch_the_next_cell():
    mask = regions_to_mask([("box", 12.0, 8.0, 24.0, 16.0)], (64, 48), (8, 4))
    assert np.argwhere(mask).tolist() == [[1, 1]]


@pytest.mark.parametrize(
    "region", [("line", 0.0, 0.0, 1.0, 1.0), ("box", 5.0, 0.0, 1.0, 1.0), ("box", np.nan, 0.0, 1.0, 1.0)]
)
def test_an_invalid_region_is_refused(region):
    with pytest.raises(ValueError, match="box or an ellipse"):
        regions_to_mask([region], (64, 48), (8, 4))


def test_an_ellipse_leaves_the_corners_of_its_box():
    box, ellipse = (regions_to_mask([(kind, 0.0, 0.0, 64.0, 64.0)], (64, 64), (16, 16)) for kind in ("box", "ellipse"))
    assert box.all()
    assert not ellipse[0, 0]
    assert ellipse.mean() == pytest.approx(np.pi / 4, abs=0.1)


@pytest.mark.parametrize("grid", [(8, 4), (7, 5), (3, 11)])
def test_mask_to_grid_takes_the_cells_that_are_half_covered(grid):
    mask = np.zeros((64, 44), bool)
    mask[20:47, 9:30] = True
    rows, columns = np.linspace(0, 64, grid[0] + 1), np.linspace(0, 44, grid[1] + 1)

    def overlap(edges, low, high):
        return np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None) / np.diff(edges)

    share = overlap(rows, 20, 47)[:, None] * overlap(columns, 9, 30)
    np.testing.assert_array_equal(mask_to_grid(mask, grid), share >= 0.5)
    np.testing.assert_array_equal(mask_to_grid(mask, grid, least_share=0), share > 0)


def test_half_a_cell_is_enough_whatever_the_rounding():
    mask = np.zeros((6, 6), bool)
    mask[:, [0, 3]] = True
    mask[:3, [1, 4]] = True
    assert mask_to_grid(mask, (1, 2)).all()
