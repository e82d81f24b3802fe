"""How well probabilities tell the classes apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import softmax
from scipy.stats import rankdata

from ggcam.metrics.ranking import check_ordered


def auroc(scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half.

    Args:
        scores: shape (n,), any real numbers, higher for positives.
        positive: shape (n,).

    Returns:
        0 to 1; NaN when positives or negatives are missing.

    Raises:
        ValueError: a score is NaN.
    """
    check_ordered(scores)
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return float("nan")
    # Mann-Whitney: the positives' ranks, less what they would be among themselves.
    above = rankdata(scores)[positive].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def auroc_per_class(probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> Float[np.ndarray, " k"]:
    """AUROC of each class against the rest, shape (k,); NaN for a class that no case has, or every case.

    Raises:
        ValueError: a probability is not finite, or a label is no column of `probabilities`.
    """
    check_scores(probabilities, labels)
    return np.array([auroc(probabilities[:, k], labels == k) for k in range(probabilities.shape[1])])


def macro_auroc(probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> float:
    """Mean of the one-against-rest AUROCs over the classes that have one; NaN when none has.

    Raises:
        ValueError: a probability is not finite, or a label is no column of `probabilities`.
    """
    return known_mean(auroc_per_class(probabilities, labels))


def macro_auroc_ovo(probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> float:
    """Mean AUROC over all pairs of classes, each pair judged by both its columns (Hand and Till, 2001, eq. 7).

    Pairs with a class that no case has are left out; NaN when no pair remains.

    Raises:
        ValueError: a probability is not finite, or a label is no column of `probabilities`.
    """
    check_scores(probabilities, labels)

    def pair(a: int, b: int) -> float:
        either = (labels == a) | (labels == b)
        is_a = labels[either] == a
        return (auroc(probabilities[either, a], is_a) + auroc(probabilities[either, b], ~is_a)) / 2

    return known_mean(np.array([pair(a, b) for a, b in combinations(range(probabilities.shape[1]), 2)]))


def auprc_per_class(probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> Float[np.ndarray, " k"]:
    """Average precision of each class against the rest, shape (k,); NaN for a class that no case has.

    A random score reaches the class's share of the cases.

    Raises:
        ValueError: a probability is not finite, or a label is no column of `probabilities`.
    """
    from sklearn.metrics import average_precision_score

    check_scores(probabilities, labels)
    return np.array(
        [
            average_precision_score(labels == k, probabilities[:, k]) if (labels == k).any() else np.nan
            for k in range(probabilities.shape[1])
        ]
    )


def confusion_matrix(
    predictions: Int[np.ndarray, " n"], labels: Int[np.ndarray, " n"], classes: int
) -> Int[np.ndarray, "k k"]:
    """Number of cases per true class (row) and predicted class (column), shape (classes, classes).

    Raises:
        ValueError: a class is none of 0 to classes - 1.
    """
    both = np.concatenate([predictions, labels])
    if len(both) and not (both.min() >= 0 and both.max() < classes):
        raise ValueError(f"classes run from {both.min()} to {both.max()}, there are {classes}")
    return np.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, classes)


def classification_report(
    logits: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"], class_names: Sequence[str]
) -> dict:
    """All metrics of a classifier, ready for JSON: undefined ones are None.

    The upper part has the keys and numbers of the original GG-CAM's `classification_report.json`: precision, recall,
    F1 and support under "0.0", "1.0", ..., "macro avg" and "weighted avg", then "accuracy", "ROC_AUC_ovr" and
    "ROC_AUC_ovo" of the softmax. A class that is never predicted has precision 0, as there. A class that no case has
    (the original fails) has support 0 and None for the rest, and stays out of every average.

    The part "ours" adds "macro_auroc", "macro_auprc", "balanced_accuracy", "cases", "confusion_matrix" (rows: true
    class) and, under "classes", each class's metrics by name, with its "auroc" and "auprc" against the rest.

    Args:
        logits: shape (n, k), finite.
        labels: shape (n,), 0 to k - 1.
        class_names: k names.

    Raises:
        ValueError: no cases, a logit that is not finite, or a label or number of names that does not fit `logits`.
    """
    check_scores(logits, labels)
    classes = logits.shape[1]
    if len(class_names) != classes:
        raise ValueError(f"{len(class_names)} class names for {classes} logits")
    confusion = confusion_matrix(logits.argmax(axis=1), labels, classes)
    rows = precision_recall(confusion)
    probabilities = softmax(logits.astype(np.float64), axis=1)
    per_class = {"auroc": auroc_per_class(probabilities, labels), "auprc": auprc_per_class(probabilities, labels)}
    macro = {key: known_mean(np.array([row[key] for row in rows])) for key in rows[0] if key != "support"}
    weighted = {key: sum(row[key] * row["support"] for row in rows if row["support"]) / len(labels) for key in macro}
    cases = {"support": float(len(labels))}
    return nan_to_none(
        {f"{float(k)}": row for k, row in enumerate(rows)}
        | {
            "accuracy": float(np.trace(confusion) / len(labels)),
            "macro avg": macro | cases,
            "weighted avg": weighted | cases,
            "ROC_AUC_ovr": macro_auroc(probabilities, labels),
            "ROC_AUC_ovo": macro_auroc_ovo(probabilities, labels),
            "ours": {
                "macro_auroc": known_mean(per_class["auroc"]),
                "macro_auprc": known_mean(per_class["auprc"]),
                "balanced_accuracy": macro["recall"],
                "cases": len(labels),
                "confusion_matrix": confusion.tolist(),
                "classes": {
                    name: row | {key: float(values[k]) for key, values in per_class.items()}
                    for k, (name, row) in enumerate(zip(class_names, rows, strict=True))
                },
            },
        }
    )


def nan_to_none(tree: dict) -> dict:
    """The same nested dictionary with None for NaN, which JSON does not know."""

    def plain(value: object) -> object:
        if isinstance(value, Mapping):
            return {key: plain(item) for key, item in value.items()}
        return None if isinstance(value, float) and np.isnan(value) else value

    return {key: plain(value) for key, value in tree.items()}


def check_scores(scores: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> None:
    """Raise ValueError unless there are cases, every score is finite and every label is a column of the scores."""
    if not len(labels):
        raise ValueError("there are no cases to judge")
    bad = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{len(bad)} of {len(labels)} cases have a score that is not finite; the first is case {bad[0]}"
        )
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise ValueError(f"labels run from {labels.min()} to {labels.max()}, the scores have {scores.shape[1]} classes")


def precision_recall(confusion: Int[np.ndarray, "k k"]) -> list[dict[str, float]]:
    """Precision, recall, F1 and support of each class of a confusion matrix; NaN for a class without cases."""
    rows = []
    for right, true, predicted in zip(np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0), strict=True):
        metrics = (right / max(predicted, 1), right / true, 2 * right / (true + predicted)) if true else (np.nan,) * 3
        rows.append(
            dict(zip(("precision", "recall", "f1-score", "support"), map(float, (*metrics, true)), strict=True))
        )
    return rows


def known_mean(values: Float[np.ndarray, " k"]) -> float:
    """Mean of those that are not NaN; NaN, without a warning, when none is left."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
