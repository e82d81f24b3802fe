from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from ggcam.training.fit_calibration import calibrate

NAMES = ("Normal", "CHF", "pneumonia")


def cases(n=3000, sharpness=1.0):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(n, 3)) * 2
    labels = (softmax(logits, axis=1).cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return logits * sharpness, labels


def test_an_under_confident_network_gets_a_temperature_below_one_and_thresholds_of_calibrated_probabilities():
    logits, labels = cases(sharpness=0.25)
    found = calibrate(logits, labels, NAMES)
    assert found.temperature == pytest.approx([0.25] * 3, rel=0.1)
    assert found.cases == 3000
    probability = softmax(logits / found.temperature[0], axis=1)[:, 1]
    chosen = found.thresholds["sensitivity_95"]["CHF"]
    assert chosen is not None
    assert (probability[labels == 1] >= chosen).mean() == pytest.approx(0.95, abs=0.005)


def test_labels_that_are_unknown_or_always_absent_do_not_take_part():
    rng = np.random.default_rng(0)
    labels = (rng.random((50, 3)) < 0.5).astype(float)
    labels[::2, 0] = np.nan
    labels[:, 2] = 0
    logits = np.where(np.nan_to_num(labels) == 1, 1.0, -1.0) + rng.normal(size=(50, 3))
    logits[::2, 0] = 1e6  # of unknown labels
    found = calibrate(logits, labels, NAMES)
    assert found.temperature[2] == 1
    assert found.temperature[0] < 20
    assert found.thresholds["youden"]["pneumonia"] is None
    assert found.thresholds["youden"]["Normal"] is not None
