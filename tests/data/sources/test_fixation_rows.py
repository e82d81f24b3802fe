from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ggcam.data.sources.fixation_rows import FixationRows, group_readings
from ggcam.errors import DataError

SIZES = np.array([[50, 40], [60, 30], [9, 9]])
DEGREES = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    x, y, start, duration = rng.uniform(-3, 45, n), rng.uniform(-3, 60, n), rng.uniform(0, 9, n), rng.uniform(0, 1, n)
    duration[rng.random(n) < 0.1] = 0
    x[rng.random(n) < 0.1] = np.nan
    return rng.integers(0, 2, n), rng.choice(["anna", "ben"], n), (x, y, start, duration)


def build_rows(case, reading_id, columns):
    x, y, start, duration = columns
    return FixationRows.build(case, x, y, start, duration, DEGREES[case], reading_id)


def group_by_loop(case, reading_id, columns):
    """Group row by row, and sort by time at the end."""
    found = [{}, {}, {}]
    for at, (x, y, start, duration) in enumerate(zip(*columns, strict=True)):
        height, width = SIZES[case[at]]
        if not np.isnan(x) and 0 <= x < width and 0 <= y < height and duration > 0:
            found[case[at]].setdefault(reading_id[at], []).append((x, y, start, duration))
    return [{name: sorted(points, key=lambda point: point[2]) for name, points in case.items()} for case in found]


@pytest.mark.parametrize("n", [0, 1, 2, 300])
def test_groups_equal_those_of_a_loop(n):
    case, reading_id, columns = rows(n)
    dropped = Counter()
    readings = group_readings(build_rows(case, reading_id, columns), SIZES, dropped, Path("t.csv"))
    expected = group_by_loop(case, reading_id, columns)
    assert [set(of_case) for of_case in readings] == [set(of_case) for of_case in expected]
    for at, of_case in enumerate(readings):
        for name, f in of_case.items():
            np.testing.assert_array_equal(np.stack([f.x_px, f.y_px, f.start_s, f.duration_s], 1), expected[at][name])
            assert (f.px_per_degree_x == DEGREES[at, 0]).all()
            assert (f.px_per_degree_y == DEGREES[at, 1]).all()
    assert sum(dropped.values()) + sum(len(f) for of_case in readings for f in of_case.values()) == n


def test_a_fixation_is_counted_only_under_the_first_reason():
    columns = (np.array([np.nan, -1.0, 2.0]), np.array([-1.0, 2.0, 2.0]), np.zeros(3), np.zeros(3))
    dropped = Counter()
    group_readings(build_rows(np.zeros(3, int), "1", columns), SIZES, dropped, Path("t.csv"))
    assert dropped == {
        "fixation without position or duration": 1,
        "fixation off the image": 1,
        "fixation of duration 0 or less": 1,
    }


def test_few_fixations_may_lie_off_the_image_but_not_most_of_many():
    def group(n):
        columns = (np.full(n, 99.0), np.full(n, 1.0), np.zeros(n), np.ones(n))
        group_readings(build_rows(np.zeros(n, int), "1", columns), SIZES, Counter(), Path("t.csv"))

    group(19)
    with pytest.raises(DataError, match=r"100% of the fixations(.|\n)*t\.csv"):
        group(20)
