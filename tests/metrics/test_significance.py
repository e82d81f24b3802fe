from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ggcam.metrics.bootstrap_statistics import weighted_mean
from ggcam.metrics.intervals import bootstrap_interval
from ggcam.metrics.significance import holm, paired_bootstrap_test, seed_test
from ggcam.metrics.threshold_statistics import weighted_auroc


def test_the_p_value_and_the_interval_are_one_statement():
    rng = np.random.default_rng(0)
    agreed = 0
    for _ in range(40):
        right = rng.random((2, 80)) < [[0.75], [0.6]]
        a, b = (weighted_mean(row.astype(float)) for row in right)
        found = paired_bootstrap_test(a, b, np.arange(80), resamples=999)
        difference = weighted_mean(right[0] - right[1].astype(float))
        drawn = bootstrap_interval(difference, np.arange(80), resamples=999)
        ends = (found.interval.value, found.interval.low, found.interval.high)
        assert ends == pytest.approx((drawn.value, drawn.low, drawn.high))
        off_zero = found.interval.low > 0 or found.interval.high < 0
        agreed += off_zero == (found.p_value < 0.05)
    assert agreed >= 38  # a step of the resamples at the very edge


def test_a_better_model_differs_and_the_paired_interval_is_narrower_than_the_single_ones():
    rng = np.random.default_rng(5)
    positive = np.arange(300) < 100
    weak = rng.normal(size=300) + 0.3 * positive
    a, b = weighted_auroc(weak, positive), weighted_auroc(weak + 1.5 * positive, positive)
    better = paired_bootstrap_test(b, a, np.arange(300), resamples=1000)
    assert 0 < better.interval.low < better.interval.value < better.interval.high
    single = [bootstrap_interval(each, np.arange(300), resamples=1000) for each in (a, b)]
    assert better.interval.high - better.interval.low < sum(each.high - each.low for each in single)


def test_models_that_do_not_differ_are_told_apart_as_rarely_as_they_should():
    """Nominal 5 %: 200 comparisons of two equally good models that share most of what they see."""
    rng = np.random.default_rng(1)
    positive = np.arange(150) < 60
    found = 0
    for _ in range(200):
        shared = positive + rng.normal(size=150)
        a, b = (weighted_auroc(shared + 0.7 * rng.normal(size=150), positive) for _ in range(2))
        found += paired_bootstrap_test(a, b, np.arange(150), resamples=400, seed=rng).p_value < 0.05
    assert 0.015 <= found / 200 <= 0.1


def test_a_model_does_not_differ_from_itself_and_one_patient_tells_nothing():
    a = weighted_mean(np.array([1.0, 0.0, 1.0]))
    assert paired_bootstrap_test(a, a, np.arange(3), resamples=99).p_value == 1
    assert np.isnan(paired_bootstrap_test(a, a, np.zeros(3), resamples=99).p_value)


def test_a_clear_difference_has_the_smallest_p_that_the_resamples_allow():
    better, worse = weighted_mean(np.ones(50)), weighted_mean(np.zeros(50))
    assert paired_bootstrap_test(better, worse, np.arange(50), resamples=999).p_value == pytest.approx(2 / 1000)
    assert paired_bootstrap_test(worse, better, np.arange(50), resamples=999).p_value == pytest.approx(2 / 1000)


# Multiples of 1/64, whose sums are exact: with others, rounding decides which patterns tie with the observed one.
@given(st.lists(st.integers(-64, 64).map(lambda number: number / 64), min_size=2, max_size=8))
@settings(max_examples=25, deadline=None)
def test_sign_flips_are_all_tried(differences):
    d = np.array(differences)
    means = [abs(np.mean(d * signs)) for signs in product([-1, 1], repeat=len(d))]
    assert seed_test(d) == pytest.approx(np.mean(np.array(means) >= abs(d.mean()) - 1e-12))


def test_five_seeds_that_agree_say_what_five_seeds_can():
    d = np.array([0.02, 0.05, 0.04, 0.01, 0.03])
    assert seed_test(d) == seed_test(d, "wilcoxon") == 2 / 32
    assert seed_test(-d) == 2 / 32
    assert seed_test(np.append(d, 0.06), "wilcoxon") == 2 / 64
    assert seed_test(np.linspace(0.01, 0.3, 30)) < 0.001


def test_no_difference_at_all_has_p_one_and_no_seed_none():
    for method in ("sign-flip", "wilcoxon"):
        assert seed_test(np.zeros(5), method) == 1
        assert seed_test(np.array([0.3]), method) == 1
        assert np.isnan(seed_test(np.zeros(0), method))
        with pytest.raises(ValueError, match="finite"):
            seed_test(np.array([0.1, np.nan]), method)


def test_holm_as_worked_out_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.4, np.nan, 0.5]) == pytest.approx([0.8, np.nan, 0.8], nan_ok=True)
    assert holm([]).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_never_lowers(p_values):
    adjusted = holm(p_values)
    assert (adjusted >= np.array(p_values) - 1e-15).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p_values, kind="stable")]) >= 0).all()
    assert adjusted.min() == pytest.approx(min(1, len(p_values) * min(p_values)))


def test_what_is_no_p_value_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, 1.5])
