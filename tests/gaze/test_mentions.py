import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggcam.gaze.mentions import (
    HEIGHTS,
    MIN_TIME_WEIGHT,
    MIN_WORD_WEIGHT,
    SIDES,
    Mention,
    soft_range,
    time_weights,
    word_weights,
)

times = st.lists(st.floats(-100, 100), min_size=1, max_size=20).map(np.array)
places = st.lists(st.floats(-1, 2), min_size=1, max_size=20).map(np.array)


@given(times, st.floats(0, 2), st.floats(0, 5), st.floats(0.1, 5))
def test_time_weights_are_full_in_the_window_and_fall_outside(start_s, length_s, lag_s, width_s):
    mention = Mention("a", 10.0, 10.0 + length_s)
    weights = time_weights(start_s, start_s + 0.2, mention, lag_s, width_s)
    assert ((weights >= MIN_TIME_WEIGHT) & (weights <= 1)).all()
    middle_s = start_s + 0.1
    for middle, weight in zip(middle_s.tolist(), weights.tolist(), strict=True):
        if 10.0 - lag_s <= middle <= mention.end_s:
            assert weight == 1
        else:
            distance_s = 10.0 - lag_s - middle if middle < 10.0 - lag_s else middle - mention.end_s
            expected = MIN_TIME_WEIGHT + (1 - MIN_TIME_WEIGHT) * np.exp(-(distance_s**2) / (2 * width_s**2))
            assert weight == pytest.approx(expected)


def test_a_fixation_without_a_time_keeps_its_weight():
    assert time_weights(np.array([np.nan]), np.array([np.nan]), Mention("a", 1.0, 2.0)).tolist() == [1.0]


@given(places, places, st.sampled_from(SIDES), st.sampled_from(HEIGHTS))
def test_word_weights_are_mirrored_with_the_side(across, down, side, height):
    across, down = across[: len(down)], down[: len(across)]
    weights = word_weights(across, down, Mention("a", 0.0, 1.0, side, height))
    mirrored = {"left": "right", "right": "left"}.get(side, side)
    other = word_weights(1 - across, down, Mention("a", 0.0, 1.0, mirrored, height))
    np.testing.assert_allclose(weights, other, atol=1e-12)
    assert ((weights >= MIN_WORD_WEIGHT) & (weights <= 1)).all()
    if side in ("", "both") and not height:
        assert (weights == 1).all()


@pytest.mark.parametrize(
    ("side", "height", "place"),
    [
        ("left", "", (0.8, 0.5)),  # the patient's left is on the right of the image
        ("right", "", (0.2, 0.5)),
        ("", "upper", (0.5, 0.2)),
        ("", "lower", (0.5, 0.8)),
        ("", "middle", (0.5, 0.5)),
        ("left", "lower", (0.8, 0.8)),
        ("right", "upper", (0.2, 0.2)),
    ],
)
def test_words_select_their_part_of_the_chest(side, height, place):
    across, down = (axis.ravel() for axis in np.meshgrid([0.2, 0.5, 0.8], [0.2, 0.5, 0.8]))
    weights = word_weights(across, down, Mention("a", 0.0, 1.0, side, height))
    best = weights == weights.max()
    assert place in zip(across[best].tolist(), down[best].tolist(), strict=True)
    assert weights.min() < 0.1


@given(places, st.floats(0, 0.4), st.floats(0.6, 1))
def test_a_soft_range_is_half_at_its_ends(values, low, high):
    inside = soft_range(values, low, high)
    assert ((inside >= 0) & (inside <= 1)).all()
    assert soft_range(np.array([low, high]), low, high) == pytest.approx([0.5, 0.5], abs=1e-3)
    np.testing.assert_array_equal(soft_range(values, -np.inf, np.inf), 1)
