import json

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from ggcam.metrics.classification import (
    auprc_per_class,
    auroc,
    auroc_per_class,
    classification_report,
    confusion_matrix,
    macro_auroc,
    macro_auroc_ovo,
)

NAMES = ["Normal", "CHF", "pneumonia"]


def random_cases(seed, n=80, classes=3, ties=True):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.resize(np.arange(classes), n))
    logits = rng.normal(size=(n, classes)) + 0.7 * np.eye(classes)[labels]
    return (logits.round(1) if ties else logits), labels


def auroc_by_counting(scores, positive):
    wins = [(p > q) + (p == q) / 2 for p in scores[positive] for q in scores[~positive]]
    return float(np.mean(wins))


def same(ours, theirs):
    """Equal trees, numbers to rounding."""
    if isinstance(theirs, dict):
        return list(ours) == list(theirs) and all(same(ours[key], theirs[key]) for key in theirs)
    return ours == pytest.approx(theirs, rel=1e-12, abs=1e-12)


def test_the_report_is_that_of_the_original(golden):
    recorded = np.load(golden / "evaluate.npz")
    report = classification_report(recorded["logits"], recorded["y"], NAMES)
    theirs = json.loads((golden / "classification_report.json").read_text())
    assert report.pop("ours")["macro_auroc"] == pytest.approx(theirs["ROC_AUC_ovr"], rel=1e-12)
    assert same(report, theirs)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_the_report_is_what_scikit_learn_says(seed):
    logits, labels = random_cases(seed, ties=False)
    probabilities = softmax(logits, axis=1)
    report = classification_report(logits, labels, NAMES)
    ours = report.pop("ours")
    theirs = sklearn.metrics.classification_report(
        labels.astype(float), logits.argmax(axis=1).astype(float), output_dict=True, zero_division=0
    )
    for kind in ("ovr", "ovo"):
        theirs[f"ROC_AUC_{kind}"] = sklearn.metrics.roc_auc_score(labels, probabilities, multi_class=kind)
    assert same(report, theirs)
    assert ours["balanced_accuracy"] == pytest.approx(
        sklearn.metrics.balanced_accuracy_score(labels, logits.argmax(axis=1))
    )
    assert list(ours["classes"]) == NAMES
    assert ours["classes"]["CHF"]["auroc"] == pytest.approx(auroc_by_counting(probabilities[:, 1], labels == 1))
    assert ours["macro_auprc"] == pytest.approx(np.mean(auprc_per_class(probabilities, labels)))


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_auroc_counts_the_pairs_in_the_right_order(seed):
    logits, labels = random_cases(seed, n=30)
    found = auroc_per_class(logits, labels)
    for k in range(3):
        assert found[k] == pytest.approx(auroc_by_counting(logits[:, k], labels == k))
        assert found[k] == pytest.approx(sklearn.metrics.roc_auc_score(labels == k, logits[:, k]))


@given(st.integers(0, 10_000), st.sampled_from([np.exp, np.cbrt, lambda x: 3 * x - 5]))
@settings(max_examples=25, deadline=None)
def test_auroc_ignores_an_increasing_change_of_each_class_s_scores(seed, change):
    logits, labels = random_cases(seed)
    assert macro_auroc(change(logits), labels) == pytest.approx(macro_auroc(logits, labels), abs=1e-12)


def test_auroc_is_one_half_for_a_constant_score_and_turns_over_with_the_sign():
    logits, labels = random_cases(0)
    assert macro_auroc(np.zeros_like(logits), labels) == 0.5
    assert macro_auroc(-logits, labels) == pytest.approx(1 - macro_auroc(logits, labels))


def test_two_classes_have_one_auroc():
    logits, labels = random_cases(1, classes=2, ties=False)
    probabilities = softmax(logits, axis=1)
    expected = sklearn.metrics.roc_auc_score(labels, probabilities[:, 1])
    assert auroc_per_class(probabilities, labels) == pytest.approx([expected, expected])
    assert macro_auroc_ovo(probabilities, labels) == pytest.approx(expected)


def test_a_class_without_cases_is_undefined_and_stays_out_of_the_averages():
    logits, labels = random_cases(2)
    kept = labels != 1
    logits, labels = logits[kept], labels[kept]
    report = classification_report(logits, labels, NAMES)
    assert report["1.0"] == {"precision": None, "recall": None, "f1-score": None, "support": 0.0}
    assert report["ours"]["classes"]["CHF"]["auroc"] is None
    assert report["ours"]["classes"]["CHF"]["auprc"] is None
    assert report["macro avg"]["recall"] == pytest.approx((report["0.0"]["recall"] + report["2.0"]["recall"]) / 2)
    assert report["weighted avg"]["recall"] == pytest.approx(report["accuracy"])
    probabilities = softmax(logits, axis=1)
    two = [auroc_by_counting(probabilities[:, k], labels == k) for k in (0, 2)]
    assert report["ROC_AUC_ovr"] == pytest.approx(np.mean(two))
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_one_class_alone_has_an_accuracy_and_no_auroc():
    report = classification_report(np.eye(3)[[0, 0, 1]], np.zeros(3, int), NAMES)
    assert report["accuracy"] == pytest.approx(2 / 3)
    assert report["ROC_AUC_ovr"] is None
    assert report["ROC_AUC_ovo"] is None
    assert report["ours"]["macro_auroc"] is None
    assert np.isnan(auroc(np.arange(3.0), np.ones(3, bool)))


def test_a_class_that_is_never_predicted_has_precision_zero():
    report = classification_report(np.eye(3)[[0, 0, 1]], np.array([0, 1, 2]), NAMES)
    assert report["2.0"] == {"precision": 0.0, "recall": 0.0, "f1-score": 0.0, "support": 1.0}


def test_the_confusion_matrix_has_the_true_class_in_the_row():
    matrix = confusion_matrix(np.array([0, 1, 1, 2]), np.array([0, 0, 1, 1]), classes=3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    ("logits", "labels", "names", "message"),
    [
        (np.array([[0.0, 1.0], [np.nan, 0.0]]), [0, 1], ["a", "b"], "1 of 2 cases .* case 1"),
        (np.array([[0.0, np.inf]]), [0], ["a", "b"], "not finite"),
        (np.zeros((2, 2)), [0, 2], ["a", "b"], "labels run from 0 to 2"),
        (np.zeros((2, 2)), [-1, 0], ["a", "b"], "labels run from -1"),
        (np.zeros((2, 2)), [0, 1], ["a", "b", "c"], "3 class names for 2"),
        (np.zeros((0, 2)), [], ["a", "b"], "no cases"),
    ],
)
def test_invalid_arguments_are_refused(logits, labels, names, message):
    with pytest.raises(ValueError, match=message):
        classification_report(logits, np.array(labels, dtype=int), names)
