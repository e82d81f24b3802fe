"""Classification metrics where a case may have several labels, or none.

Labels are (n, k): 1, 0 or NaN (unknown). Every label is evaluated on the cases in which it is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import expit

from ggcam.metrics.bootstrap_statistics import (
    WeightedStatistic,
    mean_of_defined,
    on_cases,
    weighted_ece,
    weighted_mean,
    weighted_reliability,
)
from ggcam.metrics.calibration import BINS
from ggcam.metrics.classification import auprc, auroc, known_mean, nan_to_none, precision_recall
from ggcam.metrics.ranking import check_labels
from ggcam.metrics.threshold_statistics import weighted_auprc, weighted_auroc, weighted_sensitivity

Metric = Callable[[Float[np.ndarray, " n"], Bool[np.ndarray, " n"]], WeightedStatistic]
"""Function from scores and positives to a statistic of case weights."""


def auroc_per_label(scores: Float[np.ndarray, "n k"], labels: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " k"]:
    """Compute the AUROC of each label.

    Args:
        scores: shape (n, k), higher for cases that have the label.
        labels: shape (n, k), 1, 0 or NaN (unknown).

    Returns:
        Shape (k,); NaN for a label without positive or without negative cases.

    Raises:
        ValueError: there are no cases, a score is not finite, or a label is not 1, 0 or NaN.
    """
    check_labels(scores, labels)
    known = np.isfinite(labels)
    return np.array([auroc(scores[on, k], labels[on, k] == 1) for k, on in enumerate(known.T)])


def macro_auroc_multilabel(scores: Float[np.ndarray, "n k"], labels: Float[np.ndarray, "n k"]) -> float:
    """Compute the mean AUROC over the labels that have one.

    Args:
        scores: shape (n, k), higher for cases that have the label.
        labels: shape (n, k), 1, 0 or NaN (unknown).

    Returns:
        0 to 1; NaN, without a warning, if no label has an AUROC.

    Raises:
        ValueError: there are no cases, a score is not finite, or a label is not 1, 0 or NaN.
    """
    return known_mean(auroc_per_label(scores, labels))


def multilabel_report(
    logits: Float[np.ndarray, "n k"], labels: Float[np.ndarray, "n k"], class_names: Sequence[str]
) -> dict:
    """Compute the report of `classification.classification_report` for several labels per case.

    Under the same keys: precision, recall, F1 and support (cases that have the label) of each label at a probability of
    0.5; "accuracy" is the fraction of known entries that are correct, "ROC_AUC_ovr" the mean AUROC over the labels, and
    "ROC_AUC_ovo" is None. Instead of one confusion matrix, "ours" has one "confusion_matrix" per label (rows: absent,
    present) and its number of "known" cases; "balanced_accuracy" is the mean over labels of (recall + specificity) / 2.
    A label without positive cases is left out of every average.

    Args:
        logits: shape (n, k), finite.
        labels: shape (n, k), 1, 0 or NaN.
        class_names: k names.

    Returns:
        The nested dictionary, ready for JSON: undefined metrics are None.

    Raises:
        ValueError: there are no cases, a logit is not finite, a label is not 1, 0 or NaN, or the number of names does
            not match.
    """
    areas = auroc_per_label(logits, labels)
    if len(class_names) != logits.shape[1]:
        raise ValueError(f"{len(class_names)} class names for {logits.shape[1]} logits")
    probabilities = expit(logits.astype(np.float64))
    precisions = auprc_per_label(probabilities, labels)
    known, present, predicted = np.isfinite(labels), labels == 1, logits > 0
    rows, more, halves = [], [], []
    for k in range(logits.shape[1]):
        on = known[:, k]
        confusion = np.bincount(2 * present[on, k] + predicted[on, k], minlength=4).reshape(2, 2)
        absent_row, row = precision_recall(confusion)
        rows.append(row)
        halves.append((row["recall"] + absent_row["recall"]) / 2)
        metrics = {"auroc": float(areas[k]), "auprc": float(precisions[k]), "known": int(on.sum())}
        more.append(row | metrics | {"confusion_matrix": confusion.tolist()})
    keys = [key for key in rows[0] if key != "support"]
    all_present = float(present.sum())
    macro = {key: known_mean(np.array([row[key] for row in rows])) for key in keys}
    weighted = {
        key: sum(row[key] * row["support"] for row in rows if row["support"]) / all_present if all_present else np.nan
        for key in keys
    }
    support = {"support": all_present}
    return nan_to_none(
        {f"{float(k)}": row for k, row in enumerate(rows)}
        | {
            "accuracy": known_mean((predicted == present)[known].astype(np.float64)),
            "macro avg": macro | support,
            "weighted avg": weighted | support,
            "ROC_AUC_ovr": known_mean(areas),
            "ROC_AUC_ovo": None,
            "ours": {
                "macro_auroc": known_mean(areas),
                "macro_auprc": known_mean(precisions),
                "balanced_accuracy": known_mean(np.array(halves)),
                "cases": len(labels),
                "classes": dict(zip(class_names, more, strict=True)),
            },
        }
    )


def auprc_per_label(
    probabilities: Float[np.ndarray, "n k"], labels: Float[np.ndarray, "n k"]
) -> Float[np.ndarray, " k"]:
    """Compute the average precision of each label.

    Args:
        probabilities: shape (n, k), or any scores.
        labels: shape (n, k), 1, 0 or NaN (unknown).

    Returns:
        Shape (k,); NaN for a label without positive cases.

    Raises:
        ValueError: there are no cases, a score is not finite, or a label is not 1, 0 or NaN.
    """
    check_labels(probabilities, labels)
    known = np.isfinite(labels)
    return np.array([auprc(probabilities[on, k], labels[on, k] == 1) for k, on in enumerate(known.T)])


def on_known(metric: Metric, scores: Float[np.ndarray, " n"], labels: Float[np.ndarray, " n"]) -> WeightedStatistic:
    """Turn a metric of one label, on the cases in which it is known, into a statistic of all cases.

    Args:
        metric: function from scores and positives to a statistic.
        scores: shape (n,), score of each case.
        labels: shape (n,), 1, 0 or NaN (unknown).

    Returns:
        Statistic of the weights of all n cases.
    """
    known = np.isfinite(labels)
    return on_cases(known, metric(scores[known], labels[known] == 1))


def label_metrics(
    probabilities: Float[np.ndarray, "n k"], labels: Float[np.ndarray, "n k"], class_names: Sequence[str]
) -> dict:
    """Create the classification metrics of metrics.json for several labels per case, as statistics of case weights.

    Means over the labels, in a resample over those that it defines, since it easily loses a rare one: macro_auroc,
    macro_auprc. Over all known entries together: micro_auroc, accuracy (at a probability of 0.5), brier (0 to 1), ece
    (of the probability that the label is present) and, by bin of that probability, reliability, whose "accuracy" is the
    fraction of present labels. By label: auroc, auprc, sensitivity_at_90_specificity; and the numbers of cases "known"
    and "present". A label without positive or without negative cases only enters these numbers and the metrics over all
    entries.

    Args:
        probabilities: shape (n, k).
        labels: shape (n, k), 1, 0 or NaN (unknown).
        class_names: k names.

    Returns:
        Tree of statistics and numbers.

    Raises:
        ValueError: there are no cases, a score is not finite, or a label is not 1, 0 or NaN.
    """
    areas = auroc_per_label(probabilities, labels)
    columns = dict(zip(class_names, zip(probabilities.T, labels.T, strict=True), strict=True))
    defined = {name: column for (name, column), area in zip(columns.items(), areas, strict=True) if np.isfinite(area)}

    def by_label(metric: Metric) -> dict[str, WeightedStatistic]:
        return {name: on_known(metric, *column) for name, column in defined.items()}

    case, label = np.nonzero(np.isfinite(labels))
    probability, present = probabilities[case, label], labels[case, label] == 1
    aurocs, auprcs = by_label(weighted_auroc), by_label(weighted_auprc)
    return {
        "macro_auroc": mean_of_defined(list(aurocs.values())),
        "micro_auroc": on_cases(case, weighted_auroc(probability, present)),
        "macro_auprc": mean_of_defined(list(auprcs.values())),
        "accuracy": on_cases(case, weighted_mean((probability > 0.5) == present)),
        "brier": on_cases(case, weighted_mean((probability - present) ** 2)),
        "ece": on_cases(case, weighted_ece(probability, present, BINS)),
        "reliability": {
            name: found | {key: on_cases(case, found[key]) for key in ("confidence", "accuracy")}
            for name, found in weighted_reliability(probability, present).items()
        },
        "auroc": aurocs,
        "auprc": auprcs,
        "sensitivity_at_90_specificity": by_label(weighted_sensitivity),
        "known": {name: int(np.isfinite(labels[:, k]).sum()) for k, name in enumerate(class_names)},
        "present": {name: int((labels[:, k] == 1).sum()) for k, name in enumerate(class_names)},
    }
