"""The tables of a run: metrics.json in rows, each metric beside its interval and what it is to be read against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ggcam.report.charts import Axis

Metric = Mapping[str, Any]
"""A metric: value, low and high, each None where undefined."""

ANATOMY_NAMES: Mapping[str, str] = {
    "heart_interp_1": "CHF: in the heart",
    "lung_interp_1": "Pneumonia: in the lungs",
}
"""The original GG-CAM's name for an anatomy metric -> what it says."""

OVERALL: Mapping[str, tuple[str, str]] = {
    "macro_auroc": ("Macro AUROC", "mean over the classes, each against the rest"),
    "macro_auroc_ovo": ("Macro AUROC, one against one", "mean over all pairs of classes"),
    "micro_auroc": ("Micro AUROC", "all cases and classes in one pool"),
    "macro_auprc": ("Macro AUPRC", "mean average precision over the classes"),
    "accuracy": ("Accuracy", "share of right answers"),
    "balanced_accuracy": ("Balanced accuracy", "mean sensitivity over the classes"),
    "macro_f1": ("Macro F1", "mean over the classes"),
    "mcc": ("Matthews correlation", "−1 to 1"),
    "brier": ("Brier score", "squared distance from the truth; lower is better"),
    "ece": ("Expected calibration error", "gap between confidence and truth; lower is better"),
}
"""Metric of metrics.json -> its name and what it is."""

AGREEMENT: Mapping[str, tuple[str, str]] = {
    "nss": ("NSS", "mean of the standardised CAM where the reader fixated; 0 is chance"),
    "cc": ("CC", "Pearson correlation with the gaze map"),
    "sim": ("SIM", "overlap of the two as densities, 0 to 1"),
    "auc_judd": ("AUC (Judd)", "fixated cells against all others; 0.5 is chance"),
    "auc_shuffled": ("AUC (shuffled)", "fixated cells against those fixated in other images; 0.5 is chance"),
    "information_gain": ("Information gain", "bits a fixation over the centre map"),
    "kl": ("KL", "divergence from the gaze map; lower is better"),
}

READ_AGAINST: Mapping[str, str] = {
    "shuffled_gaze": "other patients’ gaze",
    "centre": "centre",
    "lungs": "lung mask",
    "other_reader": "another reader",
}
"""Source in metrics.json -> what is held against the gaze in the place of the CAM. All but the last are floors."""

OVERLAP: Mapping[str, str] = {
    "energy_inside": "Evidence inside the finding",
    "mean_iou": "IoU, mean over thresholds",
    "best_iou": "IoU at the best threshold",
    "average_precision": "Average precision of cells",
}


@dataclass(frozen=True)
class MetricRow:
    """A metric, what it is, and what guessing would reach (None where that is not plain)."""

    name: str
    what: str
    metric: Metric
    chance: float | None = None


@dataclass(frozen=True)
class TargetRow:
    """How often the CAM's peak lies on a target, as metrics.json has it."""

    name: str
    found: Mapping[str, Any]


@dataclass(frozen=True)
class OverlapRow:
    """An overlap of the CAM with the finding of a class, beside that of the same cells in random order."""

    class_name: str
    metric: str
    cases: int
    cam: Metric
    chance: Metric
    gained: Metric


@dataclass(frozen=True)
class AgreementRow:
    """A metric of agreement with gaze: of the CAM, of each floor, of the ceiling, on one axis.

    Attributes:
        name: of the metric.
        what: it is.
        cam: the CAM's.
        against: name of a floor or of the ceiling -> its metric.
        gained: the CAM's above that of shuffled gaze.
        axis: on which all of them fit.
    """

    name: str
    what: str
    cam: Metric
    against: Mapping[str, Metric]
    gained: Metric
    axis: Axis


def overall_rows(metrics: Mapping[str, Any], ours: Mapping[str, Any]) -> tuple[MetricRow, ...]:
    """The metrics of all classes together that a run has; chance where it is plain."""
    several = has_several_labels(ours)
    chance: dict[str, float] = dict.fromkeys(("macro_auroc", "macro_auroc_ovo", "micro_auroc"), 0.5) | {"mcc": 0.0}
    support = [row["support"] for row in ours["classes"].values()]
    if not several and sum(support):
        present = [count for count in support if count]
        chance["accuracy"] = max(support) / sum(support)
        chance["balanced_accuracy"] = chance["macro_auprc"] = 1 / len(present)
    return tuple(
        MetricRow(*OVERALL[name], metrics[name], chance.get(name)) for name in OVERALL if _is_metric(metrics.get(name))
    )


def has_several_labels(ours: Mapping[str, Any]) -> bool:
    """Whether the cases of a classification_report.json may have several labels: then nothing is confused."""
    return "confusion_matrix" not in ours


def target_rows(metrics: Mapping[str, Any]) -> tuple[TargetRow, ...]:
    """Where the CAM peaks: on the anatomy, on the finding of each class."""
    anatomy = [TargetRow(ANATOMY_NAMES.get(name, name), found) for name, found in metrics.get("anatomy", {}).items()]
    pointing = metrics.get("pointing_game", {})
    return (*anatomy, *(TargetRow(f"{name}: on the finding", found) for name, found in pointing.items()))


def overlap_rows(metrics: Mapping[str, Any]) -> tuple[OverlapRow, ...]:
    """How much of the finding the CAM covers, class by class."""
    return tuple(row for name, found in metrics.get("overlap", {}).items() for row in _overlaps(name, found))


def size_rows(metrics: Mapping[str, Any]) -> tuple[tuple[str, str, Mapping[str, Any]], ...]:
    """Class, size of the finding, and what was found for it."""
    return tuple(
        (name, size, found)
        for name, of_class in metrics.get("overlap", {}).items()
        for size, found in of_class.get("by_size", {}).items()
    )


def agreement_rows(metrics: Mapping[str, Any]) -> tuple[AgreementRow, ...]:
    """Agreement with gaze, a row a metric; none without gaze."""
    of_gaze = metrics.get("gaze_agreement", {})
    rows: list[AgreementRow] = []
    for key, (name, what) in AGREEMENT.items():
        found = of_gaze.get(key, {})
        if not _is_metric(found.get("cam")):
            continue
        against = {words: found[source] for source, words in READ_AGAINST.items() if _is_metric(found.get(source))}
        # The lung mask is no density where readers look beside it: it may lie far off, and is drawn at the end then.
        near = [each for words, each in against.items() if words != READ_AGAINST["lungs"]]
        values = [each[end] for each in (found["cam"], *near) for end in ("value", "low", "high")]
        axis = Axis.around(name, [value for value in values if value is not None], pad=0.08)
        gained = found.get("cam_minus_shuffled_gaze", {"value": None})
        rows.append(AgreementRow(name, what, found["cam"], against, gained, axis))
    return tuple(rows)


def _overlaps(class_name: str, found: Mapping[str, Any]) -> Iterator[OverlapRow]:
    for key, words in OVERLAP.items():
        if key in found:
            of = found[key]
            yield OverlapRow(class_name, words, found["cases"], of["cam"], of["chance"], of["cam_minus_chance"])


def _is_metric(found: Any) -> bool:
    return isinstance(found, Mapping) and "value" in found
