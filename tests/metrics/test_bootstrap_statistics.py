"""Statistics of case weights, thresholds included, against scikit-learn: with weights, and on repeated cases."""

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.preprocessing import label_binarize

from ggcam.metrics.bootstrap_statistics import (
    weighted_balanced_accuracy,
    weighted_ece,
    weighted_macro_f1,
    weighted_mcc,
    weighted_mean,
    weighted_reliability,
)
from ggcam.metrics.calibration import brier_per_case, top_label
from ggcam.metrics.classification import macro_auroc_ovo
from ggcam.metrics.threshold_statistics import (
    weighted_auprc,
    weighted_auroc,
    weighted_macro_auprc,
    weighted_macro_auroc_ovo,
    weighted_micro_auroc,
    weighted_precision_recall,
    weighted_sensitivity,
)


def random_cases(seed, n=60):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.resize(np.arange(3), n))
    return softmax((rng.normal(size=(n, 3)) + 0.8 * np.eye(3)[labels]).round(1), axis=1), labels


def sensitivity_by_hand(scores, positive, specificity):
    rates = [((scores[~positive] >= t).mean(), (scores[positive] >= t).mean()) for t in [*np.unique(scores), np.inf]]
    return max(true for false, true in rates if false <= 1 - specificity + 1e-12)


def precision_by_hand(scores, positive, sensitivity):
    for threshold in np.unique(scores)[::-1]:
        chosen = scores >= threshold
        found = (chosen & positive).sum() / positive.sum()
        if found >= sensitivity - 1e-12 and found > 0:
            return positive[chosen].mean()
    raise AssertionError


def weighted_precision(scores, positive, sensitivity):
    curve = weighted_precision_recall(scores, positive, np.array([sensitivity]))
    return lambda weights: curve(weights)[:, 0]


def metrics(p, y):
    """Name -> (weighted statistic, slow metric of plain cases)."""
    predicted, second = p.argmax(axis=1), p[:, 1]
    return {
        "auprc": (weighted_auprc(second, y == 1), lambda p, y: reference.average_precision_score(y == 1, p[:, 1])),
        "macro auprc": (
            weighted_macro_auprc(p, y),
            lambda p, y: np.mean([reference.average_precision_score(y == k, p[:, k]) for k in range(3)]),
        ),
        "ovo": (weighted_macro_auroc_ovo(p, y), lambda p, y: reference.roc_auc_score(y, p, multi_class="ovo")),
        "micro": (
            weighted_micro_auroc(p, y),
            lambda p, y: reference.roc_auc_score(label_binarize(y, classes=[0, 1, 2]), p, average="micro"),
        ),
        "balanced accuracy": (
            weighted_balanced_accuracy(predicted, y),
            lambda p, y: reference.balanced_accuracy_score(y, p.argmax(axis=1)),
        ),
        "macro F1": (
            weighted_macro_f1(predicted, y),
            lambda p, y: reference.f1_score(y, p.argmax(axis=1), average="macro"),
        ),
        "MCC": (weighted_mcc(predicted, y), lambda p, y: reference.matthews_corrcoef(y, p.argmax(axis=1))),
        "Brier": (
            weighted_mean(brier_per_case(p, y)),
            lambda p, y: sum(reference.brier_score_loss(y == k, p[:, k]) for k in range(3)),
        ),
        "calibration": (
            weighted_ece(*top_label(p, y)),
            lambda p, y: ece_by_hand(*top_label(p, y)),
        ),
        "sensitivity": (
            weighted_sensitivity(second, y == 1),
            lambda p, y: sensitivity_by_hand(p[:, 1], y == 1, 0.9),
        ),
        "precision": (weighted_precision(second, y == 1, 0.8), lambda p, y: precision_by_hand(p[:, 1], y == 1, 0.8)),
    }


NAMES = list(metrics(*random_cases(0)))


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 10_000))
@settings(max_examples=12, deadline=None)
def test_whole_weights_give_what_repeated_cases_give(name, seed):
    p, y = random_cases(seed)
    statistic, slow = metrics(p, y)[name]
    weights = np.random.default_rng(seed).integers(0, 4, size=(len(y), 3))
    found = statistic(weights.astype(float))
    for column in range(3):
        rows = np.repeat(np.arange(len(y)), weights[:, column])
        assert found[column] == pytest.approx(slow(p[rows], y[rows]), abs=1e-12)


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_weights_need_not_be_whole(seed):
    p, y = random_cases(seed)
    weights = np.random.default_rng(seed).random(len(y))
    predicted = p.argmax(axis=1)
    for found, expected in (
        (weighted_auroc(p[:, 0], y == 0), reference.roc_auc_score(y == 0, p[:, 0], sample_weight=weights)),
        (weighted_auprc(p[:, 0], y == 0), reference.average_precision_score(y == 0, p[:, 0], sample_weight=weights)),
        (weighted_mcc(predicted, y), reference.matthews_corrcoef(y, predicted, sample_weight=weights)),
        (
            weighted_macro_f1(predicted, y),
            reference.f1_score(y, predicted, average="macro", sample_weight=weights),
        ),
    ):
        assert found(weights[:, None])[0] == pytest.approx(expected)


def test_the_operating_point_lies_on_scikit_learn_s_curve():
    p, y = random_cases(5)
    false, true, _ = reference.roc_curve(y == 2, p[:, 2], drop_intermediate=False)
    for specificity in (0, 0.5, 0.8, 0.9, 1):
        found = weighted_sensitivity(p[:, 2], y == 2, specificity)(np.ones((60, 1)))[0]
        assert found == pytest.approx(true[false <= 1 - specificity + 1e-12].max())


def test_a_constant_score_is_at_chance_level():
    y = np.arange(20) < 6
    ones, score = np.ones((20, 1)), np.full(20, 0.3)
    assert weighted_auprc(score, y)(ones)[0] == pytest.approx(0.3)
    assert weighted_precision(score, y, 0.5)(ones)[0] == pytest.approx(0.3)
    assert weighted_sensitivity(score, y)(ones)[0] == 0
    assert weighted_mcc(np.zeros(20, int), y.astype(int))(ones)[0] == 0


def test_a_precision_is_of_a_threshold_that_finds_something():
    """The highest score is a negative's, which finds nothing: recall 0 is evaluated at the next threshold."""
    statistic = weighted_precision(np.array([0.9, 0.8, 0.1]), np.array([False, True, True]), 0.0)
    assert statistic(np.ones((3, 1)))[0] == 0.5


def test_a_resample_without_a_class_is_undefined():
    p, y = random_cases(1)
    predicted = p.argmax(axis=1)
    weights = (y != 1)[:, None].astype(float)
    for statistic in (
        weighted_auprc(p[:, 1], y == 1),
        weighted_macro_auprc(p, y),
        weighted_macro_auroc_ovo(p, y),
        weighted_balanced_accuracy(predicted, y),
        weighted_macro_f1(predicted, y),
        weighted_sensitivity(p[:, 1], y == 1),
        weighted_precision(p[:, 1], y == 1, 0.5),
        weighted_mcc(np.where(y == 0, 0, 2), np.where(y == 1, 1, 0)),
    ):
        assert np.isnan(statistic(weights)).all()
        assert np.isfinite(statistic(np.ones_like(weights))).all()
    assert np.isnan(weighted_sensitivity(p[:, 1], y != 1)(weights)).all()


def test_a_class_that_no_case_has_stays_out_of_the_averages():
    p, y = random_cases(2)
    p, y = p[y != 1], y[y != 1]
    ones = np.ones((len(y), 1))
    assert weighted_macro_auroc_ovo(p, y)(ones)[0] == pytest.approx(macro_auroc_ovo(p, y))
    expected = np.mean([reference.average_precision_score(y == k, p[:, k]) for k in (0, 2)])
    assert weighted_macro_auprc(p, y)(ones)[0] == pytest.approx(expected)
    alone = np.zeros(4, int)
    assert np.isnan(weighted_macro_auroc_ovo(p[:4], alone)(np.ones((4, 1))))[0]
    assert np.isnan(weighted_mcc(alone, alone)(np.ones((4, 1))))[0]
    assert weighted_balanced_accuracy(alone, alone)(np.ones((4, 1)))[0] == 1


def test_scores_that_are_not_finite_are_refused():
    broken = np.full((4, 3), np.nan)
    for make in (weighted_macro_auroc_ovo, weighted_micro_auroc, weighted_macro_auprc):
        with pytest.raises(ValueError, match="4 of 4 cases"):
            make(broken, np.zeros(4, int))


def ece_by_hand(confidence, right):
    """Bin by bin, each with its upper edge."""
    gap = 0.0
    for low in np.arange(10) / 10:
        inside = (confidence > low) & (confidence <= low + 0.1)
        if inside.any():
            gap += inside.sum() * abs(right[inside].mean() - confidence[inside].mean()) / len(right)
    return gap


def test_the_bins_of_reliability_add_up_to_the_calibration_error():
    p, y = random_cases(3)
    confidence, right = top_label(p, y)
    ones, gap = np.ones((60, 1)), 0.0
    for each in weighted_reliability(confidence, right).values():
        gap += each["cases"] * abs(each["accuracy"](ones)[0] - each["confidence"](ones)[0]) / 60
    assert gap == pytest.approx(ece_by_hand(confidence, right))
