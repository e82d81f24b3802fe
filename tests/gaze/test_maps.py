import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ggcam.gaze import maps
from ggcam.gaze.fixations import Fixations
from ggcam.gaze.maps import as_peak, attention_map, attention_maps, fixation_histogram


def random_points(n: int, height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, width, n), rng.uniform(0, height, n), rng.lognormal(-1.3, 0.5, n)


def slow_map(x, y, weight, sigma_px, image_size, grid):
    """Blur at full resolution and average over each cell: a loop that anyone can check."""
    rows, columns = np.mgrid[: image_size[0], : image_size[1]] + 0.5
    full = np.zeros(image_size)
    for xi, yi, wi in zip(x, y, weight, strict=True):
        full += wi * np.exp(-((columns - xi) ** 2 + (rows - yi) ** 2) / (2 * sigma_px**2))
    cells = full.reshape(grid[0], image_size[0] // grid[0], grid[1], image_size[1] // grid[1]).mean(axis=(1, 3))
    return cells / cells.sum()


def test_a_map_equals_the_full_resolution_blur_averaged_over_cells():
    x, y, weight = random_points(20, 96, 64)
    ours = attention_map(Fixations.build(x, y, weight), grid=(6, 4), image_size=(96, 64), sigma_px=5.0, kind="density")
    # A pixel's centre stands for its mean only where pixels are fine, so the slow map has four times as many.
    slow = slow_map(4 * x, 4 * y, weight, 4 * 5.0, (4 * 96, 4 * 64), (6, 4))
    np.testing.assert_allclose(ours, slow, rtol=1e-3, atol=1e-6)


def test_float32_batches_equal_single_maps_and_padding_counts_nothing():
    a, b = random_points(7, 96, 64, 1), random_points(3, 96, 64, 2)
    points, weight = torch.zeros(3, 7, 2), torch.zeros(3, 7)
    for i, (x, y, w) in enumerate((a, b)):
        points[i, : len(x)] = torch.tensor(np.stack([x, y], 1))
        weight[i, : len(x)] = torch.tensor(w)
    drawn = attention_maps(points, weight, 9.0, (96, 64), (12, 8))
    for i, (x, y, w) in enumerate((a, b)):
        single = attention_map(Fixations.build(x, y, w), (12, 8), (96, 64), sigma_px=9.0, kind="density")
        np.testing.assert_allclose(drawn[i].numpy(), single, atol=1e-6)
    assert drawn[2].abs().sum() == 0  # nothing to draw: zeros, never NaN
    assert as_peak(drawn)[2].abs().sum() == 0


def test_maps_of_many_points_are_drawn_in_parts_and_are_the_same(monkeypatch):
    points, weight = torch.rand(5, 7, 2) * 64, torch.rand(5, 7)
    whole = attention_maps(points, weight, 6.0, (64, 64), (8, 8))
    monkeypatch.setattr(maps, "MAX_CPU_POINTS", 14)
    torch.testing.assert_close(attention_maps(points, weight, 6.0, (64, 64), (8, 8)), whole)
    assert attention_maps(points[:0], weight[:0], 6.0, (64, 64), (8, 8)).shape == (0, 8, 8)


@given(st.integers(1, 40), st.floats(0.5, 200), st.integers(0, 10**6))
def test_a_density_sums_to_one_and_a_peak_has_maximum_one(n, sigma_px, seed):
    fixations = Fixations.build(*random_points(n, 320, 256, seed))
    assert attention_map(fixations, (10, 8), (320, 256), sigma_px=sigma_px, kind="density").sum() == pytest.approx(1)
    assert attention_map(fixations, (10, 8), (320, 256), sigma_px=sigma_px, kind="peak").max() == pytest.approx(1)


@given(st.integers(1, 20), st.integers(0, 10**6))
def test_flipping_commutes_with_drawing(n, seed):
    x, y, weight = random_points(n, 96, 64, seed)
    drawn = attention_map(Fixations.build(x, y, weight), (12, 8), (96, 64), sigma_px=6.0)
    flipped = attention_map(Fixations.build(64 - x, y, weight), (12, 8), (96, 64), sigma_px=6.0)
    np.testing.assert_allclose(flipped, drawn[:, ::-1], atol=1e-9)


def test_the_brightest_cell_holds_the_fixation():
    fixations = Fixations.build([1279.5], [0.5], 0.3)
    drawn = attention_map(fixations, (48, 40), (1536, 1280), sigma_px=3.0)
    assert np.unravel_index(drawn.argmax(), drawn.shape) == (0, 39)


def test_duration_weighs_and_count_does_not():
    fixations = Fixations.build([16, 48], [16, 16], duration_s=[3.0, 1.0])
    by_time = attention_map(fixations, (1, 2), (32, 64), sigma_px=1.0, kind="density")
    by_count = attention_map(fixations, (1, 2), (32, 64), sigma_px=1.0, kind="density", weight="count")
    np.testing.assert_allclose(by_time, [[0.75, 0.25]], atol=1e-6)
    np.testing.assert_allclose(by_count, [[0.5, 0.5]], atol=1e-6)


def test_sigma_in_degrees_follows_each_fixation_and_falls_back_where_unknown():
    known = Fixations.build([32.0], [32.0], px_per_degree=(4.0, 8.0))
    drawn = attention_map(known, (64, 64), (64, 64), sigma_deg=1.0, kind="density")
    spread = [(drawn.sum(axis) * (np.arange(64) + 0.5 - 32) ** 2).sum() ** 0.5 for axis in (0, 1)]
    assert spread == pytest.approx([4.0, 8.0], rel=0.01)
    unknown = Fixations.build([32.0], [32.0])
    fallback = attention_map(unknown, (64, 64), (64, 64), sigma_deg=1.0, kind="density")
    same = attention_map(unknown, (64, 64), (64, 64), sigma_px=64 / 28.5, kind="density")
    np.testing.assert_allclose(fallback, same)


def test_gradients_reach_the_points():
    points = torch.tensor([[[20.0, 30.0]]], requires_grad=True)
    attention_maps(points, torch.ones(1, 1), 8.0, (64, 64), (8, 8))[0, 3, 2].backward()
    assert points.grad is not None
    assert points.grad.abs().sum() > 0


def test_a_fixation_histogram_equals_a_loop_and_leaves_out_what_is_off_the_image():
    rng = np.random.default_rng(0)
    gaze = Fixations.build(rng.uniform(-10, 60, 80), rng.uniform(-10, 70, 80), rng.choice([0, 0.2, 0.5], 80))
    counts, seconds = np.zeros((2, 4, 5))
    for x, y, duration in zip(gaze.x_px, gaze.y_px, gaze.duration_s, strict=True):
        if 0 <= x < 50 and 0 <= y < 64 and duration > 0:
            counts[int(y // 16), int(x // 10)] += 1
            seconds[int(y // 16), int(x // 10)] += duration
    np.testing.assert_array_equal(fixation_histogram(gaze, (4, 5), (64, 50)), counts)
    np.testing.assert_allclose(fixation_histogram(gaze, (4, 5), (64, 50), weight="duration"), seconds)
    assert 0 < counts.sum() < 80
    edge = Fixations.build([np.nextafter(7.0, 0)], [np.nextafter(7.0, 0)])
    assert fixation_histogram(edge, (49, 49), (7, 7))[48, 48] == 1
    assert not fixation_histogram(Fixations.empty(), (4, 5), (64, 50)).any()
