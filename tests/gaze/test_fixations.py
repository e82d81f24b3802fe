import numpy as np
import pytest

from ggcam.gaze.fixations import Fixations, concatenate, coverage


def test_a_single_value_stands_for_every_fixation():
    fixations = Fixations.build([1, 2, 3], [4, 5, 6], duration_s=0.25, label="CHF")
    np.testing.assert_array_equal(fixations.duration_s, [0.25, 0.25, 0.25])
    assert list(fixations.label) == ["CHF"] * 3
    assert fixations.total_s == pytest.approx(0.75)


def test_columns_may_be_tuples():
    fixations = Fixations.build((1.0, 2.0), (3.0, 4.0), (0.1, 0.2), start_s=(0.0, 0.1), label=("a", "b"))
    assert fixations.duration_s.tolist() == [0.1, 0.2]
    assert fixations.label.tolist() == ["a", "b"]


def test_inside_counts_the_left_and_top_edge_but_not_the_right_and_bottom():
    fixations = Fixations.build([0, 10, 9.999, -0.001, 5], [0, 5, 4.999, 1, 5])
    assert fixations.inside(height_px=5, width_px=10).tolist() == [True, False, True, False, False]


def test_concatenate_keeps_order_and_none_gives_none():
    a, b = Fixations.build([1], [1], label="a"), Fixations.build([2, 3], [2, 3], label="bb")
    both = concatenate([a, b])
    assert both.x_px.tolist() == [1, 2, 3]
    assert both.label.tolist() == ["a", "bb", "bb"]
    assert len(concatenate([])) == 0


def test_coverage_is_a_share_of_time_and_nan_without_time():
    fixations = Fixations.build([0, 50], [0, 50], duration_s=[3.0, 1.0])
    assert coverage(fixations, fixations.inside(10, 10)) == pytest.approx(0.75)
    assert np.isnan(coverage(Fixations.empty(), np.zeros(0, dtype=bool)))


@pytest.mark.parametrize(
    ("x", "y", "duration", "message"),
    [
        ([1, 2], [1], 1.0, r"y_px has shape \(1,\)"),
        ([np.nan], [1], 1.0, "x_px and y_px must be finite"),
        ([1], [1], -0.1, "duration_s must be 0 or more"),
        ([1], [1], np.nan, "duration_s must be 0 or more"),
        ([1, 2], [1, 2], [1, 2, 3], "duration_s has shape"),
    ],
)
def test_invalid_columns_are_refused(x, y, duration, message):
    with pytest.raises(ValueError, match=message):
        Fixations.build(x, y, duration_s=duration)
