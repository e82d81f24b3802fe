import numpy as np
import pytest
import sklearn.metrics

from ggcam.metrics.bootstrap_statistics import on_cases
from ggcam.metrics.curves import GRID, class_curves
from ggcam.metrics.intervals import bootstrap_interval
from ggcam.metrics.threshold_statistics import weighted_sensitivity


def random_scores(n=120):
    rng = np.random.default_rng(0)
    positive = np.arange(n) < n // 3
    return (positive + rng.normal(size=n)).round(1), positive


def curves_of(scores, positive, patients, **options):
    return class_curves(scores, positive.astype(float), patients, **options)


def test_the_roc_curve_goes_through_scikit_learn_s_points():
    scores, positive = random_scores()
    band = curves_of(scores, positive, np.arange(120), resamples=200).roc
    false, true, _ = sklearn.metrics.roc_curve(positive, scores, drop_intermediate=False)
    np.testing.assert_allclose(band.y, [true[false <= x + 1e-12].max() for x in band.x])
    assert (np.diff(band.y) >= 0).all()
    assert band.y[-1] == 1
    assert ((band.low <= band.y) & (band.y <= band.high)).mean() > 0.9
    alone = bootstrap_interval(weighted_sensitivity(scores, positive, 0.9), np.arange(120), resamples=200)
    assert (band.low[10], band.high[10]) == (alone.low, alone.high)
    np.testing.assert_array_equal(band.x, GRID)


def test_the_precision_recall_curve_goes_through_scikit_learn_s_points():
    scores, positive = random_scores()
    band = curves_of(scores, positive, np.arange(120), resamples=200).precision_recall
    precision, recall, _ = sklearn.metrics.precision_recall_curve(positive, scores)
    for x, y in zip(band.x[1:], band.y[1:], strict=True):
        assert y == pytest.approx(precision[np.flatnonzero(recall >= x - 1e-12)[-1]])
    assert (band.low <= band.high).all()


def test_one_patient_has_a_curve_without_a_band():
    scores, positive = random_scores()
    band = curves_of(scores, positive, np.zeros(120), resamples=10).roc
    assert np.isfinite(band.y).all()
    assert np.isnan(band.low).all()


def test_one_class_alone_has_no_curve():
    for curve in curves_of(np.arange(4.0), np.zeros(4, bool), np.arange(4), resamples=10):
        assert np.isnan(curve.y).all()


def test_unknown_labels_count_for_the_patients_only():
    scores, positive = random_scores()
    patients, truth = np.arange(120) // 2, positive.astype(float)
    known = np.arange(120) % 7 > 0
    truth[~known] = np.nan
    found = class_curves(scores, truth, patients, resamples=100)
    alone = curves_of(scores[known], positive[known], patients[known], resamples=100)
    np.testing.assert_array_equal(found.roc.y, alone.roc.y)
    np.testing.assert_array_equal(found.precision_recall.y, alone.precision_recall.y)
    sensitivity = on_cases(known, weighted_sensitivity(scores[known], positive[known], 0.9))
    expected = bootstrap_interval(sensitivity, patients, resamples=100)
    assert (found.roc.low[10], found.roc.high[10]) == (expected.low, expected.high)
