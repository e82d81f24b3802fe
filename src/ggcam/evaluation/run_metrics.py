"""Every metric of a model on a split for metrics.json, each with a confidence interval over patients.

Metrics are written as a tree of statistics of case weights; the bootstrap then evaluates the whole tree on shared
resamples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Shaped

from ggcam.data.prepared import PreparedData
from ggcam.data.schema import Labels, label_matrix
from ggcam.evaluation.cam_metrics import Blur, CaseMasks, gaze_metrics, localisation_metrics, shortcut_metrics
from ggcam.gaze.fixations import Fixations
from ggcam.metrics.bootstrap_statistics import (
    CaseMean,
    weighted_balanced_accuracy,
    weighted_ece,
    weighted_macro_f1,
    weighted_mcc,
    weighted_mean,
    weighted_reliability,
)
from ggcam.metrics.calibration import brier_per_case, top_label
from ggcam.metrics.classification import auroc_per_class
from ggcam.metrics.delong import DeLong
from ggcam.metrics.intervals import RESAMPLES, Interval, bootstrap_intervals
from ggcam.metrics.multilabel import label_metrics
from ggcam.metrics.threshold_statistics import (
    weighted_auprc,
    weighted_auroc,
    weighted_macro_auprc,
    weighted_macro_auroc,
    weighted_macro_auroc_ovo,
    weighted_micro_auroc,
    weighted_sensitivity,
)

INTERVAL = f"95 %, percentile bootstrap over patients, {RESAMPLES:,} resamples"
"""Kind of the intervals in metrics.json, except under auroc_delong."""


def measure(
    data: PreparedData,
    cases: pd.DataFrame,
    probabilities: Float[np.ndarray, "n k"],
    cam: Float[np.ndarray, "n k h w"],
    blur: Blur,
    more: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Compute every metric of a split, and the values per case that some of them are means of.

    Classification: macro_auroc, macro_auroc_ovo, micro_auroc, macro_auprc, accuracy, balanced_accuracy, macro_f1, mcc,
    brier, ece and, by bin of confidence, reliability; by class auroc, auroc_delong (the same with DeLong's interval),
    auprc and sensitivity_at_90_specificity. CAM of the true class of each case: see `evaluation.cam_metrics`.

    With several labels per case, metrics of one class among others are left out (macro_auroc_ovo, balanced_accuracy,
    macro_f1, mcc), and the others are those of `metrics.multilabel.label_metrics`. The CAM metrics are then computed
    for each label that a case has, and "cases" counts these pairs. The findings of a label are the regions with its
    name, so data whose regions are named otherwise have no pointing game. The gaze of a label are the fixations with
    its name, or the whole gaze of the case if there are none, however the network was trained. CAMs of labels that a
    case does not have are not evaluated.

    Args:
        data: the prepared folder.
        cases: (n rows), some of its cases.
        probabilities: shape (n, k).
        cam: shape (n, k, h, w).
        blur: blur of the gaze maps.
        more: further metrics of the CAMs, as statistics of the weights of the `scored_pairs`.

    Returns:
        A tree whose metrics and chance levels are {"value", "low", "high"}, NaN where undefined, beside numbers of
        cases. And a table with one row per case and a column for each metric that is a mean over cases, named by its
        path in the tree, such as "gaze_agreement/cc/cam"; NaN in cases that the metric leaves out. With several labels
        per case, it has one row per case and label in `scored_pairs`, and a column "label" with its name.
    """
    labels, patients = data.labels_of(cases), cases["patient_id"].to_numpy(np.str_)
    probabilities = probabilities.astype(np.float64)
    case, label = scored_pairs(labels)
    readings = [data.readings.get(case_id, ()) for case_id in cases["case_id"]]
    metrics = classification_metrics(probabilities, labels, data.class_names)
    row_ids = {"case_id": cases["case_id"].to_numpy()[case]}
    names = None
    if data.multi_label:
        names = row_ids["label"] = [data.class_names[k] for k in label]
        readings = [gaze_of_label(readings[i], name) for i, name in zip(case, names, strict=True)]
    masks = CaseMasks.from_data(data, cases.iloc[case], cam.shape[2:], findings=names)
    own = cam[case, label].astype(np.float64)
    cam_tree = {
        **localisation_metrics(own, label, data.class_names, masks),
        **gaze_metrics(own, readings, patients[case], masks, blur),
        **shortcut_metrics(own, masks),
        **(more or {}),
    }
    truth = label_matrix(cases, data.class_names, data.multi_label)
    known = np.isfinite(truth)
    delong = {
        name: metric(DeLong.from_scores(probabilities[None, on, k], truth[on, k] == 1, patients[on]).interval())
        for k, (name, on) in enumerate(zip(data.class_names, known.T, strict=True))
        if name in metrics["auroc"]
    }
    tree = {
        **with_intervals(metrics, patients),
        **with_intervals(cam_tree, patients[case]),
        "auroc_delong": delong,
    }
    means = {path: leaf.values for path, leaf in leaves({**metrics, **cam_tree}) if isinstance(leaf, CaseMean)}
    return tree, pd.DataFrame({**row_ids, **means})


def scored_pairs(labels: Labels) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]:
    """Return the CAMs that are evaluated: of the true class of each case, or of each label that a case has.

    Args:
        labels: shape (n,), class index of each case; or (n, k), 1, 0 or NaN (unknown).

    Returns:
        Index of the case and of the class of each CAM, shape (m,) both.
    """
    if labels.ndim == 1:
        return np.arange(len(labels)), labels
    case, label = np.nonzero(labels == 1)
    return case, label


def gaze_of_label(readings: Sequence[Fixations], name: str) -> tuple[Fixations, ...]:
    """Select the gaze that belongs to a label of a case.

    Args:
        readings: readings of the case.
        name: name of the label.

    Returns:
        The fixations of each reading that name the label; all fixations if none in any reading does.
    """
    own = tuple(reading.select(reading.label == name) for reading in readings)
    return own if any(each.total_s > 0 for each in own) else tuple(readings)


def leaves(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Iterate over the leaves of a tree.

    Args:
        tree: nested mappings.
        path: prefix of the paths.

    Yields:
        Path of the leaf, its keys joined by "/", and the leaf.
    """
    for name, item in tree.items():
        if isinstance(item, Mapping):
            yield from leaves(item, f"{path}{name}/")
        else:
            yield path + name, item


def with_intervals(tree: Mapping[str, Any], patients: Shaped[np.ndarray, " n"]) -> dict[str, Any]:
    """Evaluate the statistics in a tree, with confidence intervals.

    Args:
        tree: nested mappings, with statistics of case weights among their leaves.
        patients: shape (n,), patient of each case.

    Returns:
        The same tree with {"value", "low", "high"} in place of each statistic.
    """
    statistics: dict[str, Any] = {path: leaf for path, leaf in leaves(tree) if callable(leaf)}

    def filled(branch: Mapping[str, Any], path: str) -> dict[str, Any]:
        return {
            name: filled(item, f"{path}{name}/") if isinstance(item, Mapping) else found.get(path + name, item)
            for name, item in branch.items()
        }

    intervals = bootstrap_intervals(statistics, patients, resamples=RESAMPLES) if statistics else {}
    found = {path: metric(interval) for path, interval in intervals.items()}
    return filled(tree, "")


def metric(interval: Interval) -> dict[str, float]:
    """Convert an interval to the form of metrics.json.

    Args:
        interval: the interval.

    Returns:
        "value", "low" and "high".
    """
    known = asdict(interval)
    return {name: known[name] for name in ("value", "low", "high")}


def classification_metrics(
    probabilities: Float[np.ndarray, "n k"], labels: Labels, class_names: tuple[str, ...]
) -> dict[str, Any]:
    """Create the metrics that do not depend on CAMs: `class_metrics`, or `label_metrics` with several labels per case.

    Args:
        probabilities: shape (n, k).
        labels: shape (n,), class index of each case; or (n, k), 1, 0 or NaN (unknown).
        class_names: k names.

    Returns:
        Tree of statistics of case weights.
    """
    return (class_metrics if labels.ndim == 1 else label_metrics)(probabilities, labels, class_names)


def class_metrics(
    probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"], class_names: tuple[str, ...]
) -> dict[str, Any]:
    """Create the classification metrics of one class per case; classes without an AUROC have no metrics of their own.

    Args:
        probabilities: shape (n, k).
        labels: shape (n,), class index of each case.
        class_names: k names.

    Returns:
        Tree of statistics of case weights.
    """
    predicted, (confidence, right) = probabilities.argmax(axis=1), top_label(probabilities, labels)
    confidence = np.minimum(confidence, 1)  # a softmax may exceed 1 by rounding
    areas = auroc_per_class(probabilities, labels)
    defined = {name: (probabilities[:, k], labels == k) for k, name in enumerate(class_names) if np.isfinite(areas[k])}
    return {
        "macro_auroc": weighted_macro_auroc(probabilities, labels),
        "macro_auroc_ovo": weighted_macro_auroc_ovo(probabilities, labels),
        "micro_auroc": weighted_micro_auroc(probabilities, labels),
        "macro_auprc": weighted_macro_auprc(probabilities, labels),
        "accuracy": weighted_mean(right),
        "balanced_accuracy": weighted_balanced_accuracy(predicted, labels),
        "macro_f1": weighted_macro_f1(predicted, labels),
        "mcc": weighted_mcc(predicted, labels),
        "brier": weighted_mean(brier_per_case(probabilities, labels)),
        "ece": weighted_ece(confidence, right),
        "reliability": weighted_reliability(confidence, right),
        "auroc": {name: weighted_auroc(*case) for name, case in defined.items()},
        "auprc": {name: weighted_auprc(*case) for name, case in defined.items()},
        "sensitivity_at_90_specificity": {name: weighted_sensitivity(*case) for name, case in defined.items()},
    }
