import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from torchmetrics.functional.classification import multiclass_calibration_error

from ggcam.metrics.bootstrap_statistics import weighted_ece, weighted_reliability
from ggcam.metrics.calibration import brier_per_case, top_label


def random_cases(seed, n=120):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    return softmax(rng.normal(size=(n, 3)) * 1.5 + np.eye(3)[labels], axis=1), labels


def on_all_cases(statistic, cases):
    return statistic(np.ones((cases, 1)))[0]


@given(st.integers(0, 10_000), st.sampled_from([5, 10, 15]))
@settings(max_examples=20, deadline=None)
def test_the_calibration_error_is_that_of_torchmetrics(seed, bins):
    p, y = random_cases(seed)
    expected = multiclass_calibration_error(torch.tensor(p), torch.tensor(y), num_classes=3, n_bins=bins, norm="l1")
    assert on_all_cases(weighted_ece(*top_label(p, y), bins), len(y)) == pytest.approx(float(expected), abs=1e-6)


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_the_reliability_curve_is_that_of_scikit_learn(seed):
    p, y = random_cases(seed)
    curve = weighted_reliability(p[:, 1], y == 1)
    accuracy, confidence = calibration_curve(y == 1, p[:, 1], n_bins=10)
    assert [on_all_cases(each["accuracy"], len(y)) for each in curve.values()] == pytest.approx(accuracy)
    assert [on_all_cases(each["confidence"], len(y)) for each in curve.values()] == pytest.approx(confidence)
    for name, each in curve.items():
        low, high = map(float, name.split("-"))
        assert each["cases"] == ((p[:, 1] > low) & (p[:, 1] <= high)).sum()
    assert sum(each["cases"] for each in curve.values()) == len(y)


def test_an_edge_belongs_to_the_bin_below_and_both_ends_are_included():
    curve = weighted_reliability(np.array([0.0, 0.5, 0.5 + 1e-9, 1.0]), np.array([False, True, True, True]), bins=2)
    assert {name: each["cases"] for name, each in curve.items()} == {"0-0.5": 2, "0.5-1": 2}


def test_brier_of_knowing_all_nothing_and_the_contrary():
    labels = np.array([0, 1, 2])
    assert brier_per_case(np.eye(3), labels).tolist() == [0, 0, 0]
    assert brier_per_case(np.full((3, 3), 1 / 3), labels) == pytest.approx(np.full(3, 2 / 3))
    assert brier_per_case(np.eye(3)[[1, 2, 0]], labels).tolist() == [2, 2, 2]


def test_right_with_full_confidence_is_perfectly_calibrated_and_no_case_is_undefined():
    assert on_all_cases(weighted_ece(np.ones(5), np.ones(5, bool)), 5) == 0
    assert on_all_cases(weighted_ece(np.ones(5), np.zeros(5, bool)), 5) == 1
    assert np.isnan(on_all_cases(weighted_ece(np.zeros(0), np.zeros(0, bool)), 0))


@pytest.mark.parametrize("bad", [1.2, -0.1, np.nan])
def test_a_confidence_outside_0_to_1_is_refused(bad):
    with pytest.raises(ValueError, match="1 of 2 do not, the first is case 1"):
        weighted_reliability(np.array([0.5, bad]), np.zeros(2, bool))
