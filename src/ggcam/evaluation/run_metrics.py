"""Everything that metrics.json says of a model on a split, each metric with an interval over patients.

A metric is written down as a function of case weights, at its place in a tree; the bootstrap then fills in the whole
tree from shared draws.
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
    weighted_auprc,
    weighted_auroc,
    weighted_balanced_accuracy,
    weighted_ece,
    weighted_macro_auprc,
    weighted_macro_auroc,
    weighted_macro_auroc_ovo,
    weighted_macro_f1,
    weighted_mcc,
    weighted_mean,
    weighted_micro_auroc,
    weighted_reliability,
    weighted_sensitivity,
)
from ggcam.metrics.calibration import brier_per_case, top_label
from ggcam.metrics.classification import auroc_per_class
from ggcam.metrics.delong import DeLong
from ggcam.metrics.intervals import RESAMPLES, Interval, bootstrap_intervals
from ggcam.metrics.multilabel import label_metrics

INTERVAL = f"95 %, percentile bootstrap over patients, {RESAMPLES:,} resamples"
"""What "low" and "high" are the ends of, but under auroc_delong."""


def measure(
    data: PreparedData,
    cases: pd.DataFrame,
    probabilities: Float[np.ndarray, "n k"],
    cam: Float[np.ndarray, "n k h w"],
    blur: Blur,
    more: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Every metric of a split, and the values of each case that some of them are the means of.

    Of the classes: macro_auroc, macro_auroc_ovo, micro_auroc, macro_auprc, accuracy, balanced_accuracy, macro_f1, mcc,
    brier, ece and, by bin of confidence, reliability; by class auroc, auroc_delong (the same with
    DeLong's interval), auprc and sensitivity_at_90_specificity. Of each case's CAM of its true class: what
    `measure_cam` tells.

    Where a case may have several labels, metrics of one class among others are left out (macro_auroc_ovo,
    balanced_accuracy, macro_f1, mcc), and the rest are as `metrics.several.label_metrics` has them. What `measure_cam`
    tells is then of each label that a case has: "cases" counts these pairs. The finding of a label are the regions of
    its name, so a data set that names them otherwise has no pointing game; its gaze are the fixations of its name, or
    the case's whole gaze where it has none, however the network was trained. CAMs of labels that a case has not are
    held against nothing.

    Args:
        data: the prepared folder.
        cases: (n rows), some of its cases.
        probabilities: shape (n, k).
        cam: shape (n, k, h, w).
        blur: of the gaze maps.
        more: further metrics of the CAMs, functions of weights of the `scored_pairs` ones.

    Returns:
        A tree whose metrics, chance levels among them, are {"value", "low", "high"}, NaN where undefined; beside them
        numbers of cases. And a table, a row a case, with a column for each metric that is a mean over cases, named by
        its path in the tree, such as "gaze_agreement/cc/cam"; NaN in the cases that it leaves out. Where a case may
        have several labels, it has a row a case and label that is `scored_pairs`, and a column "label" with its name.
    """
    labels, patients = data.labels_of(cases), cases["patient_id"].to_numpy(np.str_)
    probabilities = probabilities.astype(np.float64)
    case, label = scored_pairs(labels)
    readings = [data.readings.get(case_id, ()) for case_id in cases["case_id"]]
    metrics = classification_metrics(probabilities, labels, data.class_names)
    row_of = {"case_id": cases["case_id"].to_numpy()[case]}
    names = None
    if data.multi_label:
        names = row_of["label"] = [data.class_names[k] for k in label]
        readings = [gaze_of_label(readings[i], name) for i, name in zip(case, names, strict=True)]
    places = CaseMasks.from_data(data, cases.iloc[case], cam.shape[2:], findings=names)
    own = cam[case, label].astype(np.float64)
    of_cams = {
        **localisation_metrics(own, label, data.class_names, places),
        **gaze_metrics(own, readings, patients[case], places, blur),
        **shortcut_metrics(own, places),
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
        **with_intervals(of_cams, patients[case]),
        "auroc_delong": delong,
    }
    means = {path: leaf.values for path, leaf in leaves({**metrics, **of_cams}) if isinstance(leaf, CaseMean)}
    return tree, pd.DataFrame({**row_of, **means})


def scored_pairs(labels: Labels) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]:
    """Case and class of each CAM that is judged: of the true class, or of each label that a case has; shape (m,)."""
    if labels.ndim == 1:
        return np.arange(len(labels)), labels
    case, label = np.nonzero(labels == 1)
    return case, label


def gaze_of_label(readings: Sequence[Fixations], name: str) -> tuple[Fixations, ...]:
    """Of each reading the fixations that name a label; or all of them where no reading names it."""
    own = tuple(reading.select(reading.label == name) for reading in readings)
    return own if any(each.total_s > 0 for each in own) else tuple(readings)


def leaves(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """All that is no branch, with the names of the branches to it, joined by "/"."""
    for name, item in tree.items():
        if isinstance(item, Mapping):
            yield from leaves(item, f"{path}{name}/")
        else:
            yield path + name, item


def with_intervals(tree: Mapping[str, Any], patients: Shaped[np.ndarray, " n"]) -> dict[str, Any]:
    """The same tree with {"value", "low", "high"} in place of each function of case weights."""
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
    """An interval as metrics.json has it."""
    known = asdict(interval)
    return {name: known[name] for name in ("value", "low", "high")}


def classification_metrics(
    probabilities: Float[np.ndarray, "n k"], labels: Labels, class_names: tuple[str, ...]
) -> dict[str, Any]:
    """What does not look at CAMs: `class_metrics`, or `label_metrics` where a case may have several labels."""
    return (class_metrics if labels.ndim == 1 else label_metrics)(probabilities, labels, class_names)


def class_metrics(
    probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"], class_names: tuple[str, ...]
) -> dict[str, Any]:
    """How well the probabilities tell the classes apart; classes without an AUROC stay out of those by class."""
    predicted, (confidence, right) = probabilities.argmax(axis=1), top_label(probabilities, labels)
    confidence = np.minimum(confidence, 1)  # a softmax may exceed it by rounding
    areas = auroc_per_class(probabilities, labels)
    judged = {name: (probabilities[:, k], labels == k) for k, name in enumerate(class_names) if np.isfinite(areas[k])}
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
        "auroc": {name: weighted_auroc(*case) for name, case in judged.items()},
        "auprc": {name: weighted_auprc(*case) for name, case in judged.items()},
        "sensitivity_at_90_specificity": {name: weighted_sensitivity(*case) for name, case in judged.items()},
    }
