"""DeLong's covariance against a double loop over all pairs, and against simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ggcam.metrics.classification import auroc
from ggcam.metrics.delong import DeLong
from ggcam.metrics.significance import paired_bootstrap_test
from ggcam.metrics.threshold_statistics import weighted_auroc


def random_scores(seed, n=50, models=3):
    rng = np.random.default_rng(seed)
    positive = np.zeros(n, bool)
    positive[: rng.integers(3, n - 3)] = True
    shared = rng.normal(size=n)
    return (positive + shared + rng.normal(size=(models, n))).round(1), positive


def slow_covariance(scores, positive):
    """DeLong et al. (1988), equations 5 to 7, pair by pair."""
    m, n = positive.sum(), (~positive).sum()
    wins = np.array(
        [[[(x > y) + (x == y) / 2 for y in row[~positive]] for x in row[positive]] for row in scores], float
    )
    of_positives, of_negatives = wins.mean(axis=2), wins.mean(axis=1)
    return np.cov(of_positives) / m + np.cov(of_negatives) / n


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_the_covariance_is_that_of_a_loop_over_all_pairs(seed):
    scores, positive = random_scores(seed)
    found = DeLong.from_scores(scores, positive)
    np.testing.assert_allclose(found.auroc, [auroc(row, positive) for row in scores])
    np.testing.assert_allclose(found.covariance, slow_covariance(scores, positive), atol=1e-14)


def test_a_known_answer():
    """Three positives (3, 4, 1.5) and two negatives (1, 2), worked out by hand."""
    scores, positive = np.array([[3.0, 4.0, 1.5, 1.0, 2.0]]), np.array([True, True, True, False, False])
    found = DeLong.from_scores(scores, positive)
    # The positives beat 2, 2 and 1 of the 2 negatives: shares with a variance of 1/12. The negatives lose to 3 and 2
    # of the 3 positives: 1/18.
    assert found.auroc[0] == pytest.approx(5 / 6)
    assert found.covariance[0, 0] == pytest.approx(1 / 12 / 3 + 1 / 18 / 2)
    assert found.interval().high == 1
    half = 1.959964 * np.sqrt(1 / 36 + 1 / 36)
    assert found.interval().low == pytest.approx(5 / 6 - half, abs=1e-6)


def test_ten_equal_cases_of_a_patient_carry_the_information_of_one():
    scores, positive = random_scores(1)
    alone = DeLong.from_scores(scores, positive)
    tenfold = DeLong.from_scores(np.repeat(scores, 10, axis=1), np.repeat(positive, 10), np.repeat(np.arange(50), 10))
    np.testing.assert_allclose(tenfold.auroc, alone.auroc)
    np.testing.assert_allclose(tenfold.covariance, alone.covariance, atol=1e-14)
    as_if_independent = DeLong.from_scores(np.repeat(scores, 10, axis=1), np.repeat(positive, 10))
    assert as_if_independent.covariance[0, 0] < 0.2 * alone.covariance[0, 0]


def test_patients_with_both_kinds_of_case_spread_as_much_as_simulation_says():
    rng = np.random.default_rng(3)
    patients, positive = np.repeat(np.arange(80), 4), np.tile([True, True, False, False], 80)
    found = []
    for _ in range(300):
        scores = rng.normal(size=80)[patients] + rng.normal(size=320) + 0.8 * positive
        found.append(DeLong.from_scores(scores[None], positive, patients))
    simulated = np.std([each.auroc[0] for each in found])
    estimated = np.sqrt(np.mean([each.covariance[0, 0] for each in found]))
    assert estimated == pytest.approx(simulated, rel=0.12)
    # A patient's level cancels within the patient: taking the cases as independent would overstate the spread.
    naive = np.sqrt(DeLong.from_scores(scores[None], positive).covariance[0, 0])
    assert naive > 1.15 * estimated


def test_the_difference_agrees_with_the_paired_bootstrap():
    scores, positive = random_scores(4, n=400)
    scores[0] += 0.5 * positive
    exact = DeLong.from_scores(scores, positive).difference(0, 1)
    drawn = paired_bootstrap_test(
        weighted_auroc(scores[0], positive), weighted_auroc(scores[1], positive), np.arange(400), resamples=4000
    ).interval
    assert exact.interval.value == pytest.approx(drawn.value)
    assert (exact.interval.low, exact.interval.high) == pytest.approx((drawn.low, drawn.high), abs=0.006)
    assert (exact.p_value < 0.05) == (exact.interval.low > 0 or exact.interval.high < 0)


def test_scores_of_the_same_ranks_do_not_differ():
    scores, positive = random_scores(5)
    found = DeLong.from_scores(np.stack([scores[0], np.exp(scores[0])]), positive).difference()
    assert (found.interval.value, found.p_value) == (0, 1)
    assert "p = 1" in str(found)


def test_what_is_undefined_is_nan():
    positive = np.array([True, False, False])
    one_positive = DeLong.from_scores(np.array([[2.0, 1.0, 0.0]]), positive)
    assert one_positive.auroc[0] == 1
    assert np.isnan(one_positive.covariance).all()
    assert np.isnan([one_positive.interval().low, one_positive.interval().high]).all()
    nothing = DeLong.from_scores(np.zeros((2, 3)), np.ones(3, bool))
    assert np.isnan(nothing.auroc).all()
    assert np.isnan(nothing.difference().p_value)


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="1 scores are not finite"):
        DeLong.from_scores(np.array([[np.nan, 1.0]]), np.array([True, False]))
