from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggcam.metrics.typical_range import deviation, out_of_fold_scores, score_limit, typical_range


def test_deviation_is_one_at_the_ends_of_the_range():
    values = np.column_stack([np.arange(101.0), np.exp(np.linspace(0, 5, 101))])
    typical = typical_range(values, np.zeros(2))
    ends = np.array([typical.low, typical.median, typical.high])
    np.testing.assert_allclose(deviation(ends, typical), [[-1, -1], [0, 0], [1, 1]], atol=1e-12)
    assert deviation(np.array([[140.0, 0.0]]), typical)[0, 0] == pytest.approx(2)


def test_equal_values_keep_a_range_and_unknown_ones_have_none():
    typical = typical_range(np.column_stack([np.full(9, 0.5), np.full(9, np.nan)]), np.array([0.1, 0.1]))
    np.testing.assert_allclose(deviation(np.array([[0.7, 3.0]]), typical), [[2, np.nan]])


@given(st.integers(1, 400), st.floats(0.001, 0.5))
def test_the_limit_leaves_at_most_the_rate_of_the_scores_outside(count, rate):
    scores = np.random.default_rng(count).normal(size=count)
    limit = score_limit(scores, rate)
    assert limit in scores
    # Of n + 1 exchangeable scores, the share above the limit is at most the rate, as far as n allows.
    assert (scores > limit).sum() <= max(0, rate * (count + 1) - 1 + 1e-6)


def test_new_scores_exceed_the_limit_at_the_rate():
    rng = np.random.default_rng(0)
    exceeded = [rng.normal() > score_limit(rng.normal(size=99), 0.05) for _ in range(4000)]
    assert np.mean(exceeded) == pytest.approx(0.05, abs=0.012)


def test_a_case_is_scored_without_the_cases_of_its_group():
    groups = np.array([f"p{each % 7}" for each in range(30)])
    seen: list[int] = []

    def fit_and_score(fitted, scored):
        assert not set(groups[fitted]) & set(groups[scored])
        seen.extend(scored)
        return scored * 2.0

    assert out_of_fold_scores(30, groups, fit_and_score).tolist() == [2.0 * each for each in range(30)]
    assert sorted(seen) == list(range(30))


def test_a_single_group_is_scored_by_its_own_reference():
    scores = out_of_fold_scores(3, np.array(["a"] * 3), lambda fitted, scored: np.full(len(scored), float(len(fitted))))
    assert scores.tolist() == [3, 3, 3]
