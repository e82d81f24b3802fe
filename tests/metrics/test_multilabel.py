"""Metrics of several labels per case: each against scikit-learn on the cases in which the label is known."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)
from torchmetrics.functional.classification import binary_calibration_error

from ggcam.metrics.multilabel import (
    auprc_per_label,
    auroc_per_label,
    label_metrics,
    macro_auroc_multilabel,
    multilabel_report,
)

NAMES = ("mass", "edema", "nobody", "unknown")
CASES = 80


@pytest.fixture
def scored() -> tuple[np.ndarray, np.ndarray]:
    """Logits with ties, and labels: two with both values, one that no case has, one of which nothing is known."""
    random = np.random.default_rng(3)
    labels = (random.random((CASES, 4)) < 0.35).astype(float)
    logits = np.round(random.normal(size=(CASES, 4)) + labels - 0.4, 1)
    labels[random.random((CASES, 4)) < 0.25] = np.nan
    labels[:, 2][labels[:, 2] == 1] = 0
    labels[:, 3] = np.nan
    return logits, labels


def known(logits, labels, k):
    on = ~np.isnan(labels[:, k])
    return labels[on, k], expit(logits[on, k])


def whole(statistic) -> float:
    return statistic(np.ones((CASES, 1)))[0]


def test_areas_leave_out_the_unknown(scored):
    logits, labels = scored
    areas, precisions = auroc_per_label(logits, labels), auprc_per_label(expit(logits), labels)
    for k in (0, 1):
        assert areas[k] == pytest.approx(roc_auc_score(*known(logits, labels, k)))
        assert precisions[k] == pytest.approx(average_precision_score(*known(logits, labels, k)))
    assert np.isnan(areas[2:]).all()
    assert np.isnan(precisions[2:]).all()
    assert macro_auroc_multilabel(logits, labels) == pytest.approx(areas[:2].mean())


def test_a_resample_that_loses_a_label_has_the_mean_of_the_others(scored):
    logits, labels = scored
    metrics = label_metrics(expit(logits), labels, NAMES)
    weights = np.random.default_rng(1).integers(1, 4, CASES).astype(float)
    without = weights * (labels[:, 0] != 1)
    truth, probability = known(logits, labels, 1)
    times = without[~np.isnan(labels[:, 1])]
    for name, reference in (("macro_auroc", roc_auc_score), ("macro_auprc", average_precision_score)):
        expected = reference(truth, probability, sample_weight=times)
        assert metrics[name](without[:, None])[0] == pytest.approx(expected)
    assert np.isnan(metrics["macro_auroc"](np.zeros((CASES, 1)))[0])


def test_what_is_predicted_where_nothing_is_known_changes_nothing(scored):
    logits, labels = scored
    other = np.where(np.isnan(labels), 40.0, logits)
    assert multilabel_report(other, labels, NAMES) == multilabel_report(logits, labels, NAMES)


def test_the_report_equals_scikit_learns_label_by_label(scored):
    logits, labels = scored
    report = multilabel_report(logits, labels, NAMES)
    halves = []
    for k, name in enumerate(NAMES[:2]):
        truth, probability = known(logits, labels, k)
        expected = precision_recall_fscore_support(truth, probability > 0.5, labels=[1], zero_division=0)
        found = report[f"{float(k)}"]
        values = [value[0] for value in expected]
        assert [found[key] for key in ("precision", "recall", "f1-score", "support")] == pytest.approx(values)
        ours = report["ours"]["classes"][name]
        assert ours["auroc"] == pytest.approx(roc_auc_score(truth, probability))
        assert ours["known"] == len(truth)
        assert np.sum(ours["confusion_matrix"]) == len(truth)
        assert ours["confusion_matrix"][1][1] == ((truth == 1) & (probability > 0.5)).sum()
        halves.append(balanced_accuracy_score(truth, probability > 0.5))
    assert report["2.0"] == {"precision": None, "recall": None, "f1-score": None, "support": 0.0}
    assert report["ours"]["classes"]["unknown"]["known"] == 0
    rows = [report["0.0"], report["1.0"]]
    support = np.array([row["support"] for row in rows])
    for key in ("precision", "recall", "f1-score"):
        values = np.array([row[key] for row in rows])
        assert report["macro avg"][key] == pytest.approx(values.mean())
        assert report["weighted avg"][key] == pytest.approx((values * support).sum() / support.sum())
    assert report["macro avg"]["support"] == support.sum()
    assert report["ours"]["balanced_accuracy"] == pytest.approx(np.mean(halves))
    on = ~np.isnan(labels)
    assert report["accuracy"] == pytest.approx(((logits > 0) == (labels == 1))[on].mean())
    assert report["ROC_AUC_ovo"] is None
    json.dumps(report, allow_nan=False)


def test_metrics_with_all_cases_equal_scikit_learns(scored):
    logits, labels = scored
    metrics = label_metrics(expit(logits), labels, NAMES)
    assert set(metrics["auroc"]) == set(metrics["auprc"]) == {"mass", "edema"}
    for k, name in enumerate(NAMES[:2]):
        assert whole(metrics["auroc"][name]) == pytest.approx(roc_auc_score(*known(logits, labels, k)))
        assert whole(metrics["auprc"][name]) == pytest.approx(average_precision_score(*known(logits, labels, k)))
    for macro, by_label in (("macro_auroc", "auroc"), ("macro_auprc", "auprc")):
        assert whole(metrics[macro]) == pytest.approx(np.mean([whole(each) for each in metrics[by_label].values()]))
    on = ~np.isnan(labels)
    truth, probability = labels[on], expit(logits)[on]
    assert whole(metrics["micro_auroc"]) == pytest.approx(roc_auc_score(truth, probability))
    assert whole(metrics["brier"]) == pytest.approx(brier_score_loss(truth, probability))
    assert whole(metrics["accuracy"]) == pytest.approx(((probability > 0.5) == truth).mean())
    error = binary_calibration_error(torch.tensor(probability), torch.tensor(truth.astype(int)), n_bins=10, norm="l1")
    assert whole(metrics["ece"]) == pytest.approx(float(error), abs=1e-6)
    assert metrics["known"] == {name: int((~np.isnan(labels[:, k])).sum()) for k, name in enumerate(NAMES)}
    assert metrics["present"]["nobody"] == metrics["known"]["unknown"] == 0


def test_weights_are_repetitions(scored):
    logits, labels = scored
    weights = np.random.default_rng(0).integers(0, 4, CASES)
    metrics = label_metrics(expit(logits), labels, NAMES)
    rows = np.repeat(np.arange(CASES), weights)
    repeated = label_metrics(expit(logits[rows]), labels[rows], NAMES)
    for name in ("macro_auroc", "micro_auroc", "macro_auprc", "accuracy", "brier", "ece"):
        expected = repeated[name](np.ones((len(rows), 1)))[0]
        assert metrics[name](weights[:, None].astype(float))[0] == pytest.approx(expected), name


def test_without_known_labels_metrics_are_undefined():
    nothing = np.full((6, 2), np.nan)
    report = multilabel_report(np.zeros((6, 2)), nothing, ("a", "b"))
    assert report["accuracy"] is None
    assert report["ours"]["macro_auroc"] is None
    metrics = label_metrics(np.full((6, 2), 0.5), nothing, ("a", "b"))
    assert metrics["auroc"] == {}
    assert np.isnan(metrics["macro_auroc"](np.ones((6, 1)))).all()
    assert np.isnan(metrics["accuracy"](np.ones((6, 1)))).all()


@pytest.mark.parametrize(
    ("logits", "labels", "names", "message"),
    [
        (np.zeros((0, 2)), np.zeros((0, 2)), ("a", "b"), "no cases"),
        (np.full((2, 2), np.inf), np.zeros((2, 2)), ("a", "b"), "4 scores are not finite"),
        (np.zeros((2, 2)), np.full((2, 2), 2.0), ("a", "b"), "1, 0 or NaN, got 2.0"),
        (np.zeros((2, 2)), np.zeros((2, 2)), ("a",), "1 class names for 2 logits"),
    ],
)
def test_invalid_arguments_are_refused(logits, labels, names, message):
    with pytest.raises(ValueError, match=message):
        multilabel_report(logits, labels, names)
