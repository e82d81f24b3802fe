import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggcam.metrics.operating_points import AIMS, choose_threshold, operating_point


def random_cases(seed, n=60):
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < 0.4
    positive[:2] = [True, False]
    return np.round(rng.normal(size=n) + positive, 1), positive  # rounded: with ties


def at(scores, positive, threshold):
    return (scores[positive] >= threshold).mean(), (scores[~positive] < threshold).mean()


@given(st.integers(0, 10_000))
def test_youden_is_the_best_of_all_thresholds(seed):
    scores, positive = random_cases(seed)
    sensitivity, specificity = at(scores, positive, choose_threshold(scores, positive, "youden"))
    best = max(sum(at(scores, positive, threshold)) for threshold in scores)
    assert sensitivity + specificity == pytest.approx(best)


@given(st.integers(0, 10_000))
def test_no_higher_threshold_reaches_the_sensitivity(seed):
    scores, positive = random_cases(seed)
    threshold = choose_threshold(scores, positive, "sensitivity_95")
    assert at(scores, positive, threshold)[0] >= 0.95
    for higher in np.unique(scores[scores > threshold])[1:]:
        assert at(scores, positive, higher)[0] < 0.95 or at(scores, positive, higher) == at(scores, positive, threshold)


@pytest.mark.parametrize("aim", AIMS)
def test_one_kind_of_cases_has_no_threshold(aim):
    assert np.isnan(choose_threshold(np.array([0.1, 0.9]), np.array([True, True]), aim))
    assert np.isnan(choose_threshold(np.array([0.1, 0.9]), np.array([False, False]), aim))


@pytest.mark.parametrize("aim", AIMS)
def test_scores_that_are_all_equal_and_scores_that_are_upside_down_have_a_threshold(aim):
    positive = np.array([True, False, True])
    assert choose_threshold(np.full(3, 0.5), positive, aim) == 0.5
    assert np.isfinite(choose_threshold(np.array([0.1, 0.9, 0.2]), positive, aim))


def test_sensitivity_and_specificity_follow_the_weights():
    scores = np.array([0.1, 0.4, 0.4, 0.9, 0.9])
    point = operating_point(scores, np.array([0, 1, 0, 1, np.nan]), 0.4)
    weights = np.array([[1.0, 0.0], [1.0, 2.0], [1.0, 1.0], [1.0, 1.0], [5.0, 5.0]])
    assert point["threshold"] == 0.4
    assert point["sensitivity"](weights) == pytest.approx([1, 1])
    assert point["specificity"](weights) == pytest.approx([0.5, 0])


def test_a_score_that_is_nan_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        choose_threshold(np.array([0.1, np.nan]), np.array([True, False]), "youden")
