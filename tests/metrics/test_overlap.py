import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from ggcam.metrics.overlap import (
    THRESHOLDS,
    best_iou,
    cell_average_precision,
    energy_inside,
    iou_curve,
    mean_iou,
    shuffled_chance,
    size_group,
)

METRICS = (energy_inside, mean_iou, best_iou, cell_average_precision)


def random_cases(seed, n=6, grid=(5, 4)):
    rng = np.random.default_rng(seed)
    truth = rng.random((n, *grid)) < 0.3
    truth[:, 1, 1] = True
    return (rng.normal(size=(n, *grid)) + truth).round(1), truth


def iou(a, b):
    one, other = (set(map(tuple, np.argwhere(mask))) for mask in (a, b))
    return len(one & other) / len(one | other)


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_every_metric_equals_a_loop(seed):
    cam, truth = random_cases(seed)
    for i in range(len(cam)):
        inside = sum(max(v, 0) for v, t in zip(cam[i].ravel(), truth[i].ravel(), strict=True) if t)
        assert energy_inside(cam, truth)[i] == pytest.approx(inside / np.maximum(cam[i], 0).sum())
        height = (cam[i] - cam[i].min()) / (cam[i].max() - cam[i].min())
        ious = [iou(truth[i], height >= t) for t in THRESHOLDS]
        np.testing.assert_allclose(iou_curve(cam, truth)[i], ious)
        assert mean_iou(cam, truth)[i] == pytest.approx(np.mean(ious))
        assert best_iou(cam, truth)[i] == pytest.approx(max(ious))
        expected = average_precision_score(truth[i].ravel(), cam[i].ravel())
        assert cell_average_precision(cam, truth)[i] == pytest.approx(expected)


@given(st.integers(0, 10_000), st.sampled_from([0.25, 2.0, 8.0]), st.sampled_from([-4.0, 0.0, 16.0]))
@settings(max_examples=20, deadline=None)
def test_invariances_of_the_metrics(seed, scale, shift):
    cam, truth = random_cases(seed)
    moved = scale * cam + shift
    np.testing.assert_allclose(cell_average_precision(moved, truth), cell_average_precision(cam, truth))
    np.testing.assert_allclose(cell_average_precision(np.exp(cam), truth), cell_average_precision(cam, truth))
    np.testing.assert_allclose(energy_inside(scale * cam, truth), energy_inside(cam, truth))
    # A threshold exactly on a cell may fall to either side by rounding: none is, here.
    thresholds = THRESHOLDS + 1e-4
    np.testing.assert_allclose(iou_curve(moved, truth, thresholds), iou_curve(cam, truth, thresholds))


def test_a_cam_that_is_its_truth_is_perfect_and_its_contrary_is_not():
    _, truth = random_cases(1)
    for metric in METRICS:
        np.testing.assert_allclose(metric(truth.astype(float), truth), 1)
        assert (metric(-truth.astype(float), truth) < 0.6).all()


def test_the_chance_level_is_what_random_cells_score():
    cam, truth = random_cases(2, n=40)
    share = truth.mean(axis=(1, 2))
    assert shuffled_chance(energy_inside, cam, truth, shuffles=300) == pytest.approx(share, abs=0.06)
    constant = np.zeros_like(cam)
    assert cell_average_precision(constant, truth) == pytest.approx(share)
    assert shuffled_chance(cell_average_precision, constant, truth) == pytest.approx(share)
    for metric in METRICS:
        chance = shuffled_chance(metric, cam, truth)
        np.testing.assert_array_equal(chance, shuffled_chance(metric, cam, truth))
        noise = np.random.default_rng(3).normal(size=cam.shape)
        assert metric(noise, truth).mean() == pytest.approx(shuffled_chance(metric, noise, truth).mean(), abs=0.04)
        assert metric(cam, truth).mean() > chance.mean() + 0.05


def test_constant_cams_no_evidence_and_no_truth():
    _, truth = random_cases(4, n=2)
    constant = np.full(truth.shape, 0.3)
    assert iou_curve(constant, truth).tolist() == np.zeros((2, 19)).tolist()
    assert iou_curve(constant, truth, np.zeros(1)).tolist() == [[0], [0]]
    assert energy_inside(constant, truth) == pytest.approx(truth.mean(axis=(1, 2)))
    assert energy_inside(-constant, truth).tolist() == [0, 0]
    truth[1] = False
    for metric in METRICS:
        found = metric(np.random.default_rng(0).normal(size=truth.shape), truth)
        assert np.isnan(found).tolist() == [False, True]
        assert np.isnan(shuffled_chance(metric, constant, truth))[1]


def test_findings_are_small_medium_or_large():
    assert size_group(np.array([0.0, 0.01, 0.015, 0.05, 0.06, 0.5, np.nan])).tolist() == [-1, 0, 0, 1, 1, 2, -1]


@pytest.mark.parametrize("metric", METRICS)
def test_a_cam_that_is_not_finite_is_refused(metric):
    cam, truth = random_cases(0)
    cam[3, 0, 0] = np.inf
    with pytest.raises(ValueError, match=r"1 of 6 maps .* map 3"):
        metric(cam, truth)
