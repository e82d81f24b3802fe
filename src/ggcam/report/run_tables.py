"""Tables of a run: rows of metrics.json, each metric with its interval and the values to compare it with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ggcam.report.charts import Axis

Metric = Mapping[str, Any]
"""A metric: "value", "low" and "high", each None where undefined."""

ANATOMY_NAMES: Mapping[str, str] = {
    "heart_interp_1": "CHF: in the heart",
    "lung_interp_1": "Pneumonia: in the lungs",
}
"""The original GG-CAM's name of an anatomy metric -> name on the page."""

OVERALL: Mapping[str, tuple[str, str]] = {
    "macro_auroc": ("Macro AUROC", "mean over the classes, each against the rest"),
    "macro_auroc_ovo": ("Macro AUROC, one against one", "mean over all pairs of classes"),
    "micro_auroc": ("Micro AUROC", "all cases and classes pooled"),
    "macro_auprc": ("Macro AUPRC", "mean average precision over the classes"),
    "accuracy": ("Accuracy", "fraction of correct predictions"),
    "balanced_accuracy": ("Balanced accuracy", "mean sensitivity over the classes"),
    "macro_f1": ("Macro F1", "mean over the classes"),
    "mcc": ("Matthews correlation", "−1 to 1"),
    "brier": ("Brier score", "squared distance from the truth; lower is better"),
    "ece": ("Expected calibration error", "mean gap between confidence and accuracy; lower is better"),
}
"""Metric of metrics.json -> its name and explanation on the page."""

CALIBRATION: Mapping[str, str] = {
    "ece": "Expected calibration error",
    "brier": "Brier score",
    "nll": "Negative log-likelihood",
}
"""Metric that calibration changes -> its name on the page; lower is better for all."""

AIMS: Mapping[str, str] = {
    "youden": "Largest sensitivity + specificity",
    "sensitivity_95": "Sensitivity of 95 %",
}
"""Aim for which a threshold was chosen -> its name on the page."""

AGREEMENT: Mapping[str, tuple[str, str]] = {
    "nss": ("NSS", "mean of the standardised CAM at the fixations; 0 is chance"),
    "cc": ("CC", "Pearson correlation with the gaze map"),
    "sim": ("SIM", "overlap of CAM and gaze map as densities, 0 to 1"),
    "auc_judd": ("AUC (Judd)", "fixated cells against all others; 0.5 is chance"),
    "auc_shuffled": ("AUC (shuffled)", "fixated cells against those fixated in other images; 0.5 is chance"),
    "information_gain": ("Information gain", "bits per fixation over the centre map"),
    "kl": ("KL", "divergence from the gaze map; lower is better"),
}
"""Metric of agreement with gaze -> its name and explanation on the page."""

CEILING = "other_reader"
"""Reference in metrics.json that shows what can be reached; the others do not depend on the image."""

REFERENCES: Mapping[str, str] = {
    "shuffled_gaze": "other patients’ gaze",
    "centre": "centre map",
    "lungs": "lung mask",
    CEILING: "another reader",
}
"""Reference in metrics.json -> what is compared with the gaze in place of the CAM."""

OVERLAP: Mapping[str, str] = {
    "energy_inside": "Fraction of the CAM inside the finding",
    "mean_iou": "IoU, mean over thresholds",
    "best_iou": "IoU at the best threshold",
    "average_precision": "Average precision of the cells",
}
"""Metric of overlap -> its name on the page."""


@dataclass(frozen=True)
class MetricRow:
    """A classification metric.

    Attributes:
        name: name of the metric.
        explanation: what it measures.
        metric: value and interval.
        chance: chance level; None where there is no simple one.
    """

    name: str
    explanation: str
    metric: Metric
    chance: float | None = None


@dataclass(frozen=True)
class TargetRow:
    """Hit rate of the CAM's peak on a target, as in metrics.json.

    Attributes:
        name: class and target.
        found: hit rate, chance, distance and number of cases.
    """

    name: str
    found: Mapping[str, Any]


@dataclass(frozen=True)
class OverlapRow:
    """An overlap of the CAM with the finding of a class.

    Attributes:
        class_name: the class.
        metric: name of the metric.
        cases: number of cases with a finding.
        cam: value of the CAM.
        chance: value of the same cells in random order.
        difference: difference of the two.
    """

    class_name: str
    metric: str
    cases: int
    cam: Metric
    chance: Metric
    difference: Metric


@dataclass(frozen=True)
class AgreementRow:
    """A metric of agreement with gaze, for the CAM and for each reference.

    Attributes:
        name: name of the metric.
        explanation: what it measures.
        cam: value of the CAM.
        references: name of a reference -> its value.
        difference: value of the CAM minus that of other patients' gaze.
        axis: axis that holds all values.
    """

    name: str
    explanation: str
    cam: Metric
    references: Mapping[str, Metric]
    difference: Metric
    axis: Axis


def overall_rows(metrics: Mapping[str, Any], ours: Mapping[str, Any]) -> tuple[MetricRow, ...]:
    """List the metrics over all classes.

    Args:
        metrics: content of metrics.json.
        ours: table "ours" of classification_report.json, for the chance levels.

    Returns:
        One row per metric of `OVERALL` that the run has.
    """
    chance: dict[str, float] = dict.fromkeys(("macro_auroc", "macro_auroc_ovo", "micro_auroc"), 0.5) | {"mcc": 0.0}
    support = [row["support"] for row in ours["classes"].values()]
    if not is_multi_label(ours) and sum(support):
        present = [count for count in support if count]
        chance["accuracy"] = max(support) / sum(support)
        chance["balanced_accuracy"] = chance["macro_auprc"] = 1 / len(present)
    return tuple(
        MetricRow(*OVERALL[name], metrics[name], chance.get(name)) for name in OVERALL if _is_metric(metrics.get(name))
    )


def is_multi_label(ours: Mapping[str, Any]) -> bool:
    """Return whether the cases may have several labels; they then have no confusion matrix.

    Args:
        ours: table "ours" of classification_report.json.

    Returns:
        Whether the data are multi-label.
    """
    return "confusion_matrix" not in ours


def calibration_rows(metrics: Mapping[str, Any]) -> tuple[tuple[str, Metric, Metric], ...]:
    """List the metrics of the probabilities with and without calibration.

    Args:
        metrics: content of metrics.json.

    Returns:
        Name, value with calibration and value without; none for a run that was not calibrated.
    """
    if all(temperature == 1 for temperature in metrics.get("temperature", {}).values()):
        return ()
    before = metrics.get("uncalibrated", {})
    return tuple(
        (label, metrics[name], before[name])
        for name, label in CALIBRATION.items()
        if name in metrics and name in before
    )


def operating_point_rows(metrics: Mapping[str, Any]) -> tuple[tuple[str, str, Mapping[str, Any]], ...]:
    """List sensitivity and specificity at the thresholds that were chosen on the validation cases.

    Args:
        metrics: content of metrics.json.

    Returns:
        Class, aim, and the threshold with both metrics.
    """
    by_aim = metrics.get("operating_points", {})
    names = dict.fromkeys(name for points in by_aim.values() for name in points)
    return tuple(
        (name, AIMS.get(aim, aim), points[name]) for name in names for aim, points in by_aim.items() if name in points
    )


def target_rows(metrics: Mapping[str, Any]) -> tuple[TargetRow, ...]:
    """List how often the CAM's peak lies on the anatomy, and on the finding of each class.

    Args:
        metrics: content of metrics.json.

    Returns:
        One row per target.
    """
    anatomy = [TargetRow(ANATOMY_NAMES.get(name, name), found) for name, found in metrics.get("anatomy", {}).items()]
    pointing = metrics.get("pointing_game", {})
    return (*anatomy, *(TargetRow(f"{name}: on the finding", found) for name, found in pointing.items()))


def overlap_rows(metrics: Mapping[str, Any]) -> tuple[OverlapRow, ...]:
    """List how much of the finding the CAM covers.

    Args:
        metrics: content of metrics.json.

    Returns:
        One row per class and metric of `OVERLAP`.
    """
    return tuple(row for name, found in metrics.get("overlap", {}).items() for row in _overlaps(name, found))


def size_rows(metrics: Mapping[str, Any]) -> tuple[tuple[str, str, Mapping[str, Any]], ...]:
    """List the localisation metrics by size of the finding.

    Args:
        metrics: content of metrics.json.

    Returns:
        Class name, size ("small", "medium" or "large") and metrics.
    """
    return tuple(
        (name, size, found)
        for name, by_class in metrics.get("overlap", {}).items()
        for size, found in by_class.get("by_size", {}).items()
    )


def agreement_rows(metrics: Mapping[str, Any]) -> tuple[AgreementRow, ...]:
    """List the metrics of agreement with gaze.

    Args:
        metrics: content of metrics.json.

    Returns:
        One row per metric; none without gaze.
    """
    rows: list[AgreementRow] = []
    for key, (name, explanation) in AGREEMENT.items():
        found = metrics.get("gaze_agreement", {}).get(key, {})
        if not _is_metric(found.get("cam")):
            continue
        references = {label: found[source] for source, label in REFERENCES.items() if _is_metric(found.get(source))}
        # Gaze outside the lung mask can put its value far off the others': it is then drawn at the end of the axis.
        on_axis = [each for label, each in references.items() if label != REFERENCES["lungs"]]
        values = [each.get(end) for each in (found["cam"], *on_axis) for end in ("value", "low", "high")]
        axis = Axis.around(name, [value for value in values if value is not None], pad=0.08)
        difference = found.get("cam_minus_shuffled_gaze", {"value": None})
        rows.append(AgreementRow(name, explanation, found["cam"], references, difference, axis))
    return tuple(rows)


def _overlaps(class_name: str, found: Mapping[str, Any]) -> Iterator[OverlapRow]:
    for key, label in OVERLAP.items():
        if key in found:
            values = found[key]
            yield OverlapRow(
                class_name, label, found["cases"], values["cam"], values["chance"], values["cam_minus_chance"]
            )


def _is_metric(found: Any) -> bool:
    return isinstance(found, Mapping) and "value" in found
