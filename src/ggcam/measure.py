"""Everything that metrics.json says of a model on a split, each figure with an interval over patients.

A figure is written down as a function of case weights, at its place in a tree; the bootstrap then fills in the whole
tree from shared draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Shaped

from ggcam.data.prepared import PreparedData
from ggcam.measure_cam import Blur, Places, gaze_figures, localisation_figures, shortcut_figures
from ggcam.metrics.calibration import brier_per_case, top_label
from ggcam.metrics.classification import auroc_per_class
from ggcam.metrics.delong import DeLong
from ggcam.metrics.intervals import Interval, bootstrap_intervals
from ggcam.metrics.weighted import (
    CaseMean,
    weighted_auprc,
    weighted_auroc,
    weighted_balanced_accuracy,
    weighted_calibration_error,
    weighted_macro_auprc,
    weighted_macro_auroc,
    weighted_macro_auroc_ovo,
    weighted_macro_f1,
    weighted_mcc,
    weighted_mean,
    weighted_micro_auroc,
    weighted_sensitivity,
)

RESAMPLES = 2000
"""Of the bootstrap behind every interval."""

INTERVAL = f"95 %, percentile bootstrap over patients, {RESAMPLES:,} resamples"
"""What "low" and "high" are the ends of, but under auroc_delong."""


def measure(
    data: PreparedData,
    cases: pd.DataFrame,
    probabilities: Float[np.ndarray, "n k"],
    cam: Float[np.ndarray, "n k h w"],
    blur: Blur,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Every figure of a split, and the values of each case that some of them are the means of.

    Of the classes: macro_auroc, macro_auroc_ovo, micro_auroc, macro_auprc, accuracy, balanced_accuracy, macro_f1, mcc,
    brier, calibration_error; by class auroc, auroc_delong (the same with DeLong's interval), auprc and
    sensitivity_at_90_specificity. Of each case's CAM of its true class: what `measure_cam` tells.

    Args:
        data: the prepared folder.
        cases: (n rows), some of its cases.
        probabilities: shape (n, k).
        cam: shape (n, k, h, w).
        blur: of the gaze maps.

    Returns:
        A tree whose figures are {"value", "low", "high"}, NaN where undefined; beside them numbers of cases and
        chance levels. And a table, a row a case, with a column for each figure that is a mean over cases, named by its
        path in the tree, such as "gaze_agreement/cc/cam"; NaN in the cases that it leaves out.
    """
    labels, patients = cases["label"].to_numpy(np.int64), cases["patient_id"].to_numpy(np.str_)
    probabilities = probabilities.astype(np.float64)
    own = cam[np.arange(len(cam)), labels].astype(np.float64)
    places = Places.of(data, cases, own.shape[1:])
    tree = {
        **class_figures(probabilities, labels, data.class_names),
        **localisation_figures(own, labels, data.class_names, places),
        **gaze_figures(own, cases, data, places, blur),
        **shortcut_figures(own, places),
    }
    delong = {
        name: figure(DeLong.of(probabilities[None, :, k], labels == k, patients).interval())
        for k, name in enumerate(data.class_names)
        if name in tree["auroc"]
    }
    means = {path: leaf.values for path, leaf in leaves(tree) if isinstance(leaf, CaseMean)}
    per_case = pd.DataFrame({"case_id": cases["case_id"].to_numpy(), **means})
    return {**with_intervals(tree, patients), "auroc_delong": delong}, per_case


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

    intervals = bootstrap_intervals(statistics, patients, resamples=RESAMPLES)
    found = {path: figure(interval) for path, interval in intervals.items()}
    return filled(tree, "")


def figure(interval: Interval) -> dict[str, float]:
    """An interval as metrics.json has it."""
    known = asdict(interval)
    return {name: known[name] for name in ("value", "low", "high")}


def class_figures(
    probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"], class_names: tuple[str, ...]
) -> dict[str, Any]:
    """How well the probabilities tell the classes apart; classes without an AUROC stay out of those by class."""
    predicted, (confidence, right) = probabilities.argmax(axis=1), top_label(probabilities, labels)
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
        "calibration_error": weighted_calibration_error(np.minimum(confidence, 1), right),
        "auroc": {name: weighted_auroc(*case) for name, case in judged.items()},
        "auprc": {name: weighted_auprc(*case) for name, case in judged.items()},
        "sensitivity_at_90_specificity": {name: weighted_sensitivity(*case) for name, case in judged.items()},
    }
