"""How well probabilities separate the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import softmax
from scipy.stats import rankdata

from ggcam.metrics.ranking import check_ordered, check_scores
from ggcam.metrics.threshold_statistics import weighted_auprc


def auroc(scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> float:
    """Compute the area under the ROC curve (AUROC).

    It is the probability that a positive scores above a negative, ties counting half.

    Args:
        scores: shape (n,), higher for positives.
        positive: shape (n,), whether each case is a positive.

    Returns:
        0 to 1; NaN without positives or without negatives.

    Raises:
        ValueError: a score is NaN.
    """
    check_ordered(scores)
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return float("nan")
    # Mann-Whitney: ranks of the positives, minus their ranks among themselves.
    above = rankdata(scores)[positive].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def auprc(scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> float:
    """Compute the average precision, an area under the precision-recall curve without interpolation.

    Args:
        scores: shape (n,), higher for positives.
        positive: shape (n,), whether each case is a positive.

    Returns:
        0 to 1; NaN without positives.

    Raises:
        ValueError: a score is NaN.
    """
    return float(weighted_auprc(scores, positive)(np.ones((len(scores), 1)))[0])


def auroc_per_class(probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> Float[np.ndarray, " k"]:
    """Compute the AUROC of each class against the rest.

    Args:
        probabilities: shape (n, k).
        labels: shape (n,), class index of each case.

    Returns:
        Shape (k,); NaN for a class that no case has, or every case.

    Raises:
        ValueError: a probability is not finite, or a label is not a column of `probabilities`.
    """
    check_scores(probabilities, labels)
    return np.array([auroc(probabilities[:, k], labels == k) for k in range(probabilities.shape[1])])


def macro_auroc(probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> float:
    """Compute the mean one-against-rest AUROC over the classes that have one.

    Args:
        probabilities: shape (n, k).
        labels: shape (n,), class index of each case.

    Returns:
        0 to 1; NaN if no class has an AUROC.

    Raises:
        ValueError: a probability is not finite, or a label is not a column of `probabilities`.
    """
    return known_mean(auroc_per_class(probabilities, labels))


def macro_auroc_ovo(probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> float:
    """Compute the mean AUROC over all pairs of classes, each from both its columns (Hand and Till, 2001, eq. 7).

    Args:
        probabilities: shape (n, k).
        labels: shape (n,), class index of each case.

    Returns:
        0 to 1; pairs with a class that no case has are left out; NaN if no pair remains.

    Raises:
        ValueError: a probability is not finite, or a label is not a column of `probabilities`.
    """
    check_scores(probabilities, labels)

    def pair(a: int, b: int) -> float:
        either = (labels == a) | (labels == b)
        is_a = labels[either] == a
        return (auroc(probabilities[either, a], is_a) + auroc(probabilities[either, b], ~is_a)) / 2

    return known_mean(np.array([pair(a, b) for a, b in combinations(range(probabilities.shape[1]), 2)]))


def auprc_per_class(probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> Float[np.ndarray, " k"]:
    """Compute the average precision of each class against the rest.

    A random score reaches the class's prevalence.

    Args:
        probabilities: shape (n, k).
        labels: shape (n,), class index of each case.

    Returns:
        Shape (k,); NaN for a class that no case has.

    Raises:
        ValueError: a probability is not finite, or a label is not a column of `probabilities`.
    """
    check_scores(probabilities, labels)
    return np.array([auprc(probabilities[:, k], labels == k) for k in range(probabilities.shape[1])])


def confusion_matrix(
    predictions: Int[np.ndarray, " n"], labels: Int[np.ndarray, " n"], classes: int
) -> Int[np.ndarray, "k k"]:
    """Count the cases of each true and predicted class.

    Args:
        predictions: shape (n,), predicted class of each case.
        labels: shape (n,), true class of each case.
        classes: number of classes.

    Returns:
        Shape (classes, classes): one row per true class, one column per predicted class.

    Raises:
        ValueError: a class is not in 0 to classes - 1.
    """
    both = np.concatenate([predictions, labels])
    if len(both) and not (both.min() >= 0 and both.max() < classes):
        raise ValueError(f"classes run from {both.min()} to {both.max()}, there are {classes}")
    return np.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, classes)


def classification_report(
    logits: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"], class_names: Sequence[str]
) -> dict:
    """Compute all metrics of a classifier, ready for JSON: undefined ones are None.

    The upper part has the keys and values of the original GG-CAM's `classification_report.json`: precision, recall,
    F1 and support under "0.0", "1.0", ..., "macro avg" and "weighted avg", then "accuracy", "ROC_AUC_ovr" and
    "ROC_AUC_ovo" of the softmax. As there, a class that is never predicted has precision 0. A class without cases (for
    which the original fails) has support 0 and None otherwise, and is left out of every average.

    The part "ours" adds "macro_auroc", "macro_auprc", "balanced_accuracy", "cases", "confusion_matrix" (rows: true
    class) and, under "classes", the metrics of each class by name, with its "auroc" and "auprc" against the rest.

    Args:
        logits: shape (n, k), finite.
        labels: shape (n,), 0 to k - 1.
        class_names: k names.

    Returns:
        The nested dictionary.

    Raises:
        ValueError: there are no cases, a logit is not finite, or a label or the number of names does not match
            `logits`.
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
    """Replace NaN by None, since JSON has no NaN.

    Args:
        tree: nested dictionaries and lists.

    Returns:
        A new dictionary with the same structure.
    """

    def plain(value: object) -> object:
        if isinstance(value, Mapping):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return None if isinstance(value, float) and np.isnan(value) else value

    return {key: plain(value) for key, value in tree.items()}


def precision_recall(confusion: Int[np.ndarray, "k k"]) -> list[dict[str, float]]:
    """Compute precision, recall, F1 and support of each class.

    Args:
        confusion: shape (k, k), as `confusion_matrix` returns it.

    Returns:
        One dictionary per class; NaN for a class without cases.
    """
    rows = []
    for right, true, predicted in zip(np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0), strict=True):
        metrics = (right / max(predicted, 1), right / true, 2 * right / (true + predicted)) if true else (np.nan,) * 3
        rows.append(
            dict(zip(("precision", "recall", "f1-score", "support"), map(float, (*metrics, true)), strict=True))
        )
    return rows


def known_mean(values: Float[np.ndarray, " k"]) -> float:
    """Average the values that are not NaN.

    Args:
        values: shape (k,).

    Returns:
        The mean; NaN, without a warning, if all values are NaN.
    """
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
