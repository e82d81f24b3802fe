import numpy as np
import pytest
import sklearn.metrics

from ggcam.metrics.curves import GRID, precision_recall_band, roc_band
from ggcam.metrics.intervals import bootstrap_interval
from ggcam.metrics.threshold_statistics import weighted_sensitivity


def random_scores(n=120):
    rng = np.random.default_rng(0)
    positive = np.arange(n) < n // 3
    return (positive + rng.normal(size=n)).round(1), positive


def test_the_roc_curve_goes_through_scikit_learn_s_points():
    scores, positive = random_scores()
    band = roc_band(scores, positive, np.arange(120), resamples=200)
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
    band = precision_recall_band(scores, positive, np.arange(120), resamples=200)
    precision, recall, _ = sklearn.metrics.precision_recall_curve(positive, scores)
    for x, y in zip(band.x[1:], band.y[1:], strict=True):
        assert y == pytest.approx(precision[np.flatnonzero(recall >= x - 1e-12)[-1]])
    assert (band.low <= band.high).all()


def test_one_patient_has_a_curve_without_a_band():
    scores, positive = random_scores()
    band = roc_band(scores, positive, np.zeros(120), resamples=10)
    assert np.isfinite(band.y).all()
    assert np.isnan(band.low).all()


def test_one_class_alone_has_no_curve():
    for band in (roc_band, precision_recall_band):
        assert np.isnan(band(np.arange(4.0), np.zeros(4, bool), np.arange(4), resamples=10).y).all()
