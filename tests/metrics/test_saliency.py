"""Each metric against a loop over cells and fixations, and against what must not change it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy, pearsonr, zscore
from sklearn.metrics import roc_auc_score

from ggcam.gaze.centre_prior import centre_map
from ggcam.metrics.agreement import METRICS, GazeMaps, agreement, by_image, reader_agreement, shuffled_agreement
from ggcam.metrics.saliency import (
    correlation,
    fixation_auc,
    information_gain,
    kl_divergence,
    map_density,
    nss,
    shuffled_partners,
    similarity,
)

GRID = (6, 5)
CENTRE = centre_map(GRID)


def random_maps(seed, n=4):
    return np.random.default_rng(seed).normal(size=(n, *GRID)).round(1)


def random_gaze(seed, n=4, patients=None):
    rng = np.random.default_rng(seed + 1)
    fixations = rng.poisson(0.5, size=(n, *GRID)).astype(float)
    fixations[:, 2, 3] += 1
    density = rng.random((n, *GRID))
    return GazeMaps.from_maps(
        density / density.sum(axis=(1, 2), keepdims=True), fixations, np.arange(n) if patients is None else patients
    )


def spread_out(values, fixations):
    """The value under each fixation, one by one."""
    return np.repeat(values.ravel(), fixations.ravel().astype(int))


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_every_metric_equals_a_loop_over_cases(seed):
    maps, gaze = random_maps(seed), random_gaze(seed)
    found = agreement(maps, gaze, CENTRE)
    assert tuple(found) == METRICS
    prior = map_density(CENTRE[None])[0]
    for i, (cam, looks) in enumerate(zip(maps, gaze.fixations, strict=True)):
        shifted = cam - cam.min()
        density = 0.99 * shifted / shifted.sum() + 0.01 / 30
        assert found["nss"][i] == pytest.approx(spread_out(zscore(cam, axis=None), looks).mean())
        assert found["cc"][i] == pytest.approx(pearsonr(cam.ravel(), gaze.density[i].ravel())[0])
        assert found["kl"][i] == pytest.approx(entropy(gaze.density[i].ravel(), density.ravel()))
        overlap = sum(min(a, b) for a, b in zip(density.ravel(), gaze.density[i].ravel(), strict=True))
        assert found["sim"][i] == pytest.approx(overlap)
        bits = spread_out(np.log2(density / prior), looks)
        assert found["information_gain"][i] == pytest.approx(bits.mean())
        for name, negatives in (("auc_judd", looks == 0), ("auc_shuffled", gaze.fixations.sum(axis=0) - looks)):
            scores = np.concatenate([spread_out(cam, looks), spread_out(cam, negatives)])
            positive = np.arange(len(scores)) < looks.sum()
            assert found[name][i] == pytest.approx(roc_auc_score(positive, scores))


@given(st.integers(0, 10_000), st.floats(0.01, 100), st.floats(-100, 100))
@settings(max_examples=30, deadline=None)
def test_a_positive_affine_change_of_the_map_changes_nothing(seed, scale, shift):
    maps, gaze = random_maps(seed), random_gaze(seed)
    before, after = (agreement(m, gaze, CENTRE) for m in (maps, scale * maps + shift))
    for name in ("nss", "cc", "kl", "sim", "information_gain"):
        np.testing.assert_allclose(after[name], before[name], atol=1e-7)


@given(st.integers(0, 10_000), st.sampled_from([np.exp, np.cbrt, lambda x: x**3 + x]))
@settings(max_examples=20, deadline=None)
def test_the_aucs_ignore_any_increasing_change_and_turn_over_with_the_sign(seed, change):
    maps, gaze = random_maps(seed), random_gaze(seed)
    for others in (gaze.others, (gaze.fixations == 0).astype(float)):
        auc = fixation_auc(maps, gaze.fixations, others)
        np.testing.assert_allclose(fixation_auc(change(maps), gaze.fixations, others), auc)
        np.testing.assert_allclose(fixation_auc(-maps, gaze.fixations, others), 1 - auc)


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_similarity_and_correlation_are_symmetric_and_a_map_is_its_own_best_match(seed):
    a, b = random_gaze(seed).density, map_density(random_maps(seed))
    np.testing.assert_allclose(similarity(a, b), similarity(b, a))
    np.testing.assert_allclose(correlation(a, b), correlation(b, a))
    np.testing.assert_allclose(similarity(a, a), 1)
    np.testing.assert_allclose(correlation(a, a), 1)
    np.testing.assert_allclose(kl_divergence(a, a), 0, atol=1e-12)
    assert (kl_divergence(b, a) > 0).all()
    assert (similarity(a, b) < 1).all()


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_a_map_density_sums_to_one_and_keeps_the_order(seed):
    maps = random_maps(seed)
    density = map_density(maps)
    np.testing.assert_allclose(density.sum(axis=(1, 2)), 1)
    assert (density > 0).all()
    np.testing.assert_array_equal(density.argmax(axis=1), maps.argmax(axis=1))


def test_a_constant_map_scores_the_chance_level():
    gaze = random_gaze(3)
    for value in (0.0, 0.1, -7.3):
        found = agreement(np.full((4, *GRID), value), gaze, np.ones(GRID))
        for name, expected in (("nss", 0), ("cc", 0), ("auc_judd", 0.5), ("auc_shuffled", 0.5)):
            np.testing.assert_array_equal(found[name], expected)
        np.testing.assert_allclose(found["information_gain"], 0, atol=1e-12)
        uniform = np.full((4, *GRID), 1 / 30)
        np.testing.assert_allclose(found["kl"], kl_divergence(uniform, gaze.density))
        np.testing.assert_allclose(found["sim"], similarity(uniform, gaze.density))


def test_a_case_without_gaze_is_undefined_in_every_metric_and_leaves_the_others_alone():
    maps, gaze = random_maps(4), random_gaze(4)
    kept = np.array([0, 2, 3])
    density, fixations = gaze.density.copy(), gaze.fixations.copy()
    density[1], fixations[1] = 0, 0
    holed = GazeMaps.from_maps(density, fixations, np.arange(4))
    found = agreement(maps, holed, CENTRE)
    without = agreement(maps[kept], GazeMaps.from_maps(density[kept], fixations[kept], kept), CENTRE)
    for name in METRICS:
        assert np.isnan(found[name][1])
        np.testing.assert_array_equal(found[name][kept], without[name])
    shuffled = shuffled_agreement(maps, holed, CENTRE)
    assert all(np.isnan(shuffled[name]).tolist() == [False, True, False, False] for name in METRICS)


def test_gaze_on_every_cell_leaves_judd_no_negative():
    everywhere = np.ones((1, *GRID))
    assert np.isnan(fixation_auc(random_maps(0, 1), everywhere, np.zeros_like(everywhere)))[0]


def test_a_density_that_excludes_what_was_looked_at_is_infinitely_wrong():
    gaze = np.zeros((1, 2, 2))
    gaze[0, 0, 0] = 1
    assert kl_divergence(gaze[:, ::-1], gaze)[0] == np.inf
    assert similarity(gaze[:, ::-1], gaze)[0] == 0


def test_the_centre_gains_nothing_over_itself_and_a_map_of_the_gaze_gains():
    gaze = random_gaze(5)
    np.testing.assert_allclose(agreement(np.tile(CENTRE, (4, 1, 1)), gaze, CENTRE)["information_gain"], 0, atol=1e-12)
    assert (agreement(gaze.fixations, gaze, CENTRE)["information_gain"] > 0).all()
    assert CENTRE.sum() == pytest.approx(1)
    np.testing.assert_allclose(CENTRE, CENTRE[::-1, ::-1])
    # One bit: twice as probable as the baseline.
    two = np.array([[[1.0, 0.0]]])
    assert information_gain(np.array([[[0.5, 0.5]]]), two, np.array([[[0.25, 0.75]]]))[0] == pytest.approx(1)
    assert nss(np.array([[[3.0, 1.0]]]), two)[0] == 1


@given(st.integers(0, 12), st.integers(1, 15), st.integers(0, 99))
def test_partners_are_others_all_different_and_equally_often(cases, shuffles, seed):
    partners = shuffled_partners(cases, shuffles, seed)
    assert len(partners) == max(min(shuffles, cases - 1), 0)
    for row in partners:
        assert sorted(row) == list(range(cases))
    for case in range(cases):
        mine = partners[:, case].tolist()
        assert case not in mine
        assert len(set(mine)) == len(mine)


def test_the_shuffled_metrics_are_the_mean_over_all_pairs_of_different_patients():
    maps, gaze = random_maps(6, 6), random_gaze(6, 6, np.array([0, 0, 1, 2, 3, 3]))
    found = shuffled_agreement(maps, gaze, CENTRE, shuffles=5)
    for i in range(6):
        others = np.flatnonzero(gaze.patients != gaze.patients[i])
        each = agreement(np.repeat(maps[i : i + 1], len(others), axis=0), gaze[others], CENTRE)
        for name in METRICS:
            assert found[name][i] == pytest.approx(each[name].mean())


def test_a_map_of_the_gaze_itself_stands_above_its_shuffled_self_and_a_habit_does_not():
    gaze = random_gaze(7, 12)
    own, shuffled = (f(gaze.density, gaze, CENTRE) for f in (agreement, shuffled_agreement))
    assert (own["cc"] > shuffled["cc"]).all()
    assert (own["kl"] < shuffled["kl"]).all()
    habit = np.tile(CENTRE, (12, 1, 1))
    own, shuffled = (f(habit, gaze, CENTRE) for f in (agreement, lambda *a: shuffled_agreement(*a, shuffles=11)))
    for name in ("nss", "cc", "kl", "sim"):
        assert own[name].mean() == pytest.approx(shuffled[name].mean())


def test_one_patient_alone_has_no_shuffled_metrics():
    found = shuffled_agreement(random_maps(8), random_gaze(8, patients=np.zeros(4, int)), CENTRE)
    assert all(np.isnan(values).all() for values in found.values())
    assert all(np.isnan(v).all() for v in shuffled_agreement(random_maps(8, 1), random_gaze(8, 1), CENTRE).values())


def test_a_reader_is_held_against_the_other_readers_of_the_same_image():
    gaze = random_gaze(9, 5, np.array([0, 0, 0, 1, 2]))
    found = reader_agreement(gaze, np.array(["a", "a", "a", "b", "c"]), CENTRE)
    for i, others in enumerate(([1, 2], [0, 2], [0, 1])):
        expected = agreement(gaze.density[others].sum(axis=0)[None], gaze[np.array([i])], CENTRE)
        for name in METRICS:
            assert found[name][i] == pytest.approx(expected[name][0])
    assert all(np.isnan(values[3:]).all() for values in found.values())


def test_the_shuffled_auc_takes_its_negatives_from_other_patients_alone():
    gaze = random_gaze(11, 4, np.array(["a", "b", "a", "c"]))
    np.testing.assert_array_equal(gaze.others[0], gaze.fixations[[1, 3]].sum(axis=0))
    np.testing.assert_array_equal(gaze.others[1], gaze.fixations[[0, 2, 3]].sum(axis=0))


def test_a_reading_without_gaze_is_no_other_reader():
    gaze = random_gaze(10, 2, np.array([0, 0]))
    density = gaze.density.copy()
    density[1] = 0
    found = reader_agreement(GazeMaps.from_maps(density, gaze.fixations, gaze.patients), np.array([4, 4]), CENTRE)
    assert all(np.isnan(values).all() for values in found.values())


def test_an_image_with_many_readers_counts_once():
    values = {"nss": np.array([1.0, 2.0, np.nan, 5.0, np.nan])}
    found = by_image(values, np.array([0, 0, 0, 2, 3]), 4)["nss"]
    np.testing.assert_array_equal(found, [1.5, np.nan, 5.0, np.nan])


def test_a_map_that_is_not_finite_is_refused():
    maps = random_maps(0)
    maps[2, 0, 0] = np.nan
    for measure in (agreement, shuffled_agreement):
        with pytest.raises(ValueError, match=r"1 of 4 maps .* map"):
            measure(maps, random_gaze(0), CENTRE)
