import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ggcam.metrics import intervals
from ggcam.metrics.bootstrap_statistics import weighted_mean
from ggcam.metrics.classification import auroc, macro_auroc
from ggcam.metrics.intervals import (
    Interval,
    bootstrap_interval,
    bootstrap_intervals,
    resampled_seeds,
)
from ggcam.metrics.threshold_statistics import weighted_auroc, weighted_macro_auroc


def random_cases(seed, n=60, strength=0.8):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.resize(np.arange(3), n))
    return (rng.normal(size=(n, 3)) + strength * np.eye(3)[labels]).round(1), labels


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_whole_weights_give_what_repeated_cases_give(seed):
    scores, labels = random_cases(seed)
    weights = np.random.default_rng(seed).integers(0, 4, size=(len(labels), 5))
    found = weighted_macro_auroc(scores, labels)(weights.astype(float))
    mean = weighted_mean(scores[:, 0])(weights.astype(float))
    for column in range(5):
        rows = np.repeat(np.arange(len(labels)), weights[:, column])
        assert found[column] == pytest.approx(macro_auroc(scores[rows], labels[rows]))
        assert mean[column] == pytest.approx(scores[rows, 0].mean())


def test_the_interval_is_that_of_a_loop_over_resamples():
    scores, labels = random_cases(1)
    patients = np.random.default_rng(2).integers(100, 130, size=len(labels))
    names = np.unique(patients)
    found = bootstrap_interval(weighted_macro_auroc(scores, labels), patients, resamples=400, level=0.9, seed=5)
    values = []
    for drawn in np.random.default_rng(5).integers(0, len(names), size=(400, len(names))):
        rows = np.concatenate([np.flatnonzero(patients == names[i]) for i in drawn])
        values.append(macro_auroc(scores[rows], labels[rows]))
    assert found.value == pytest.approx(macro_auroc(scores, labels))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(values, [0.05, 0.95])))
    assert (found.level, found.resamples, found.dropped) == (0.9, 400, 0)


def test_the_size_of_the_chunks_changes_nothing(monkeypatch):
    scores, labels = random_cases(3)
    whole = bootstrap_interval(weighted_macro_auroc(scores, labels), np.arange(60), resamples=500)
    monkeypatch.setattr(intervals, "CHUNK_ELEMENTS", 60 * 64)
    assert bootstrap_interval(weighted_macro_auroc(scores, labels), np.arange(60), resamples=500) == whole


def test_several_statistics_have_the_intervals_that_each_has_alone():
    scores, labels = random_cases(9)
    statistics = {"auroc": weighted_macro_auroc(scores, labels), "mean": weighted_mean(scores[:, 0])}
    together = bootstrap_intervals(statistics, np.arange(60) // 2, resamples=300, seed=4)
    for name, statistic in statistics.items():
        assert together[name] == bootstrap_interval(statistic, np.arange(60) // 2, resamples=300, seed=4)


def test_a_mean_has_the_interval_that_theory_gives():
    right = np.arange(400) < 300
    found = bootstrap_interval(weighted_mean(right), np.arange(400))
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert found.value == 0.75
    assert (found.low, found.high) == pytest.approx((0.75 - half, 0.75 + half), abs=0.006)


def test_cases_of_one_patient_are_drawn_together():
    """Ten equal cases a patient carry the information of one: the interval must not shrink."""
    right = np.random.default_rng(0).random(60) < 0.7
    alone = bootstrap_interval(weighted_mean(right), np.arange(60))
    tenfold = bootstrap_interval(weighted_mean(np.repeat(right, 10)), np.repeat(np.arange(60), 10))
    assert (tenfold.low, tenfold.high) == pytest.approx((alone.low, alone.high))
    as_if_independent = bootstrap_interval(weighted_mean(np.repeat(right, 10)), np.arange(600))
    assert as_if_independent.high - as_if_independent.low < 0.5 * (alone.high - alone.low)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    truth = 0.7602499389065233  # Phi(1 / sqrt 2): two normals one standard deviation apart
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(200):
        positive = np.arange(120) < 50
        found = bootstrap_interval(
            weighted_auroc(rng.normal(size=120) + positive, positive), np.arange(120), resamples=400, seed=rng
        )
        covered += found.low <= truth <= found.high
    assert 0.89 <= covered / 200 <= 0.99


def test_the_draws_follow_the_seed_and_words_name_patients_as_well_as_numbers():
    scores, labels = random_cases(4)
    statistic = weighted_macro_auroc(scores, labels)
    words = np.array([f"p{i:03d}" for i in range(60)])
    first = bootstrap_interval(statistic, words, resamples=300, seed=1)
    assert first == bootstrap_interval(statistic, np.arange(60), resamples=300, seed=1)
    assert first == bootstrap_interval(statistic, words.astype(object), resamples=300, seed=np.random.default_rng(1))
    assert first != bootstrap_interval(statistic, words, resamples=300, seed=2)


def with_few_of_the_last_class(cases: int) -> tuple[np.ndarray, np.ndarray]:
    scores, labels = random_cases(6)
    few = (labels != 2) | (np.cumsum(labels == 2) <= cases)
    return scores[few], labels[few]


def test_a_resample_that_loses_a_class_is_dropped_and_counted():
    scores, labels = with_few_of_the_last_class(3)
    found = bootstrap_interval(weighted_macro_auroc(scores, labels), np.arange(len(labels)), resamples=2000)
    assert found.resamples + found.dropped == 2000
    assert found.dropped / 2000 == pytest.approx(np.exp(-3), abs=0.02)
    assert found.low <= found.value <= found.high


def test_a_number_that_many_resamples_leave_undefined_has_no_interval():
    """What the others say is of the resamples alone that drew the only patient of the class."""
    scores, labels = with_few_of_the_last_class(1)
    found = bootstrap_interval(weighted_macro_auroc(scores, labels), np.arange(len(labels)), resamples=2000)
    assert found.dropped / 2000 == pytest.approx(np.exp(-1), abs=0.04)
    assert found.value == pytest.approx(macro_auroc(scores, labels))
    assert found.resamples == 0
    assert np.isnan([found.low, found.high]).all()


def test_a_class_that_no_case_has_is_left_out_as_in_the_plain_metric():
    scores, labels = random_cases(7)
    kept = labels != 1
    found = bootstrap_interval(weighted_macro_auroc(scores[kept], labels[kept]), np.arange(kept.sum()), resamples=100)
    assert found.value == pytest.approx(macro_auroc(scores[kept], labels[kept]))


def test_cases_that_a_value_does_not_apply_to_are_left_out_of_its_mean():
    values = np.array([1.0, np.nan, 0.0, np.nan])
    assert weighted_mean(values)(np.ones((4, 1)))[0] == 0.5
    nothing = bootstrap_interval(weighted_mean(np.full(3, np.nan)), np.arange(3))
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()
    assert nothing.resamples == 0


def test_one_patient_has_a_value_and_no_interval():
    found = bootstrap_interval(weighted_mean(np.array([1.0, 0.0])), np.array(["p", "p"]))
    assert found.value == 0.5
    assert np.isnan([found.low, found.high]).all()


def test_one_class_alone_has_no_auroc_and_no_interval():
    found = bootstrap_interval(weighted_macro_auroc(np.zeros((4, 3)), np.zeros(4, int)), np.arange(4))
    assert np.isnan([found.value, found.low, found.high]).all()
    assert np.isnan(auroc(np.zeros(4), np.zeros(4, bool)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"level": 1.0}, "level"), ({"resamples": 0}, "resamples"), ({"patients": np.zeros(0)}, "no cases")],
)
def test_invalid_arguments_of_an_interval_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(weighted_mean(np.ones(4)), **{"patients": np.arange(4), **arguments})


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        weighted_macro_auroc(np.full((4, 3), np.nan), np.zeros(4, int))


def test_an_interval_reads_well():
    assert str(Interval(0.75, 0.701, 0.8, 0.95, 1000)) == "0.750 [0.701, 0.800]"


def test_resampled_seeds_cover_other_patients_and_other_runs():
    """Nominal 95 %; patients alone miss the truth as soon as runs differ."""
    rng, hits = np.random.default_rng(0), {"patients": 0, "seeds": 0}
    for _ in range(300):
        of_case = rng.normal(size=60) + rng.normal(scale=0.15, size=(10, 1)) + rng.normal(scale=0.3, size=(10, 60))
        draws = of_case @ rng.multinomial(60, np.full(60, 1 / 60), size=300).T / 60
        for name, drawn in (("patients", draws.mean(axis=0)), ("seeds", resampled_seeds(draws, rng))):
            low, high = np.quantile(drawn, [0.025, 0.975])
            hits[name] += low <= 0 <= high
    assert hits["seeds"] / 300 == pytest.approx(0.95, abs=0.03)
    assert hits["patients"] < hits["seeds"]


def test_the_spread_between_few_seeds_is_not_too_small():
    metrics = np.array([0.1, 0.4, 0.6])
    drawn = resampled_seeds(np.repeat(metrics[:, None], 40_000, axis=1))
    assert drawn.mean() == pytest.approx(metrics.mean(), abs=0.005)
    assert drawn.std() == pytest.approx(metrics.std(ddof=1) / np.sqrt(3), rel=0.02)


def test_one_seed_says_nothing_of_others_and_an_undefined_one_is_undefined():
    assert np.isnan(resampled_seeds(np.ones((1, 4)))).all()
    assert resampled_seeds(np.ones((3, 0))).shape == (0,)
    found = resampled_seeds(np.array([[1.0] * 99, [np.nan] * 99]))
    assert 20 < np.isnan(found).sum() < 80
    assert (found[~np.isnan(found)] == 1).all()
