import cv2
import numpy as np
import pytest

from ggcam.gaze.original_map import original_map, original_sigma_px


def slow_original_map(rows, columns, count, raw_size, kernel_px):
    """Follow the original procedure at full resolution."""
    dots = np.zeros(raw_size, np.float32)
    np.add.at(dots, (rows, columns), count)
    side = kernel_px // 2 * 2 + 1
    blurred = cv2.GaussianBlur(dots, (side, side), 0)
    top, left = (3072 - raw_size[0]) // 2, (2560 - raw_size[1]) // 2
    canvas = np.zeros((3072, 2560), np.float32)
    canvas[max(0, top) : top + raw_size[0], max(0, left) : left + raw_size[1]] = blurred[
        max(0, -top) : max(0, -top) + 3072, max(0, -left) : max(0, -left) + 2560
    ]
    kept = canvas[::64, ::64]
    return kept / kept.max()


@pytest.mark.parametrize("raw_size", [(3056, 2544), (2544, 3056), (401, 377)])
@pytest.mark.parametrize("kernel_px", [200, 800])
def test_the_original_map_equals_blurring_the_full_image(raw_size, kernel_px):
    rng = np.random.default_rng(5)
    rows = np.append(rng.integers(0, raw_size[0], 12), [0, raw_size[0] - 1])
    columns = np.append(rng.integers(0, raw_size[1], 12), [0, raw_size[1] - 1])
    count = rng.integers(1, 9, 14)
    ours = original_map(rows, columns, count, raw_size, kernel_px)
    np.testing.assert_allclose(ours, slow_original_map(rows, columns, count, raw_size, kernel_px), atol=1e-5)


def test_the_original_map_of_nothing_is_zero_instead_of_nan():
    none = np.zeros(0, dtype=int)
    assert original_map(none, none, none, (3056, 2544)).tolist() == np.zeros((48, 40)).tolist()


@pytest.mark.parametrize(("kernel_px", "sigma_px"), [(200, 30.5), (500, 75.5), (800, 120.5)])
def test_opencvs_rule_for_sigma(kernel_px, sigma_px):
    assert original_sigma_px(kernel_px) == pytest.approx(sigma_px)


@pytest.mark.parametrize("case", range(4))
@pytest.mark.parametrize("kernel_px", [200, 500, 800])
def test_the_original_map_equals_the_recorded_one(golden, case, kernel_px):
    recorded = np.load(golden / "preprocess.npz")
    rows, columns, count = recorded[f"{case}_points"].T
    ours = original_map(rows, columns, count, tuple(recorded[f"{case}_shape"].tolist()), kernel_px)
    np.testing.assert_allclose(ours, recorded[f"{case}_gaze_{kernel_px}"][0], atol=1e-5)
