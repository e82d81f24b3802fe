"""The gallery of a run: which cases it shows, and the layers of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Shaped

from ggcam.data.case import Frame
from ggcam.data.prepared import PreparedData
from ggcam.data.stratify import assign_strata
from ggcam.report.cases import CaseReader, CaseView, PredictionTable
from ggcam.report.layers import (
    GAZE_COLOUR_MAP,
    Picture,
    RegionMark,
    Scanpath,
    image_layer,
    map_layer,
    region_marks,
    scanpath,
)

MAX_CASES = 40
"""Maximum number of cases in the gallery."""

MAX_CLASSES = 14
"""Maximum number of CAMs per case: those of the true classes, and of the most probable other ones."""

NO_LABEL = "no label"
"""Shown for a case without labels, in multi-label data."""

AGREEMENT_METRIC = "gaze_agreement/cc/cam"
"""Column of case_metrics.parquet: Pearson correlation of the CAM of the true class with the gaze map."""


@dataclass(frozen=True)
class ClassMap:
    """The prediction for one class of a case.

    Attributes:
        number: index of the class.
        name: name of the class.
        probability: 0 to 1.
        truth: "true", "absent" or "unknown".
        cam: CAM as a layer.
    """

    number: int
    name: str
    probability: float
    truth: str
    cam: Picture


@dataclass(frozen=True)
class GalleryCase:
    """One case of the gallery.

    Attributes:
        name: id of the case.
        correct: whether the prediction is correct.
        truth: names of its true classes; empty for a case without labels.
        predicted: name of the most probable class.
        probability: probability of that class.
        truth_probability: probability of the true class; the lower, the worse the prediction.
        agreement: correlation with the gaze map of the CAM shown first, -1 to 1; None where it was not measured.
        shown: index of the class whose CAM is shown first.
        classes: predictions and CAMs by class.
        frame: size of the image in which all marks are given.
        image: the image as a layer.
        gaze: gaze map as a layer; None without gaze.
        scanpaths: one per reading.
        fixations: number of fixations.
        dwell_s: sum of their durations.
        findings: outlines of the findings.
        markers: outlines of simulated shortcuts.
    """

    name: str
    correct: bool
    truth: tuple[str, ...]
    predicted: str
    probability: float
    truth_probability: float
    agreement: float | None
    shown: int
    classes: tuple[ClassMap, ...]
    frame: Frame
    image: Picture
    gaze: Picture | None = None
    scanpaths: tuple[Scanpath, ...] = ()
    fixations: int = 0
    dwell_s: float = 0.0
    findings: tuple[RegionMark, ...] = ()
    markers: tuple[RegionMark, ...] = ()


def gallery_cases(
    reader: CaseReader, data: PreparedData, predicted: PredictionTable, case_metrics: pd.DataFrame
) -> tuple[GalleryCase, ...]:
    """Choose up to `MAX_CASES` cases of a run with :func:`choose_cases`, and build their layers.

    Args:
        reader: reads the cases.
        data: prepared folder that the cases belong to.
        predicted: predictions of all evaluated cases.
        case_metrics: content of case_metrics.parquet, which has the agreement with gaze.

    Returns:
        The cases, worst prediction first.
    """
    group, agreement = assign_strata(predicted.truth), _agreement(case_metrics)
    return tuple(
        _case(predicted, row, int(group[row]), reader[str(predicted.case_ids[row])], data.frame, agreement)
        for row in choose_cases(predicted.truth_probability, group, MAX_CASES)
    )


def choose_cases(truth_probability: Float[np.ndarray, " n"], group: Int[np.ndarray, " n"], limit: int) -> list[int]:
    """Choose cases from every group: half of them its worst, the others evenly spaced from there to its best.

    Every group gets the same number of cases, as far as it has enough.

    Args:
        truth_probability: shape (n,), probability of the true class.
        group: shape (n,), group of each case, such as its class.
        limit: maximum number of cases.

    Returns:
        Rows of the chosen cases, lowest probability first.
    """
    chosen: list[int] = []
    sizes = sorted((int((group == each).sum()), int(each)) for each in np.unique(group))
    for number, (size, each) in enumerate(sizes):
        quota = min(size, (limit - len(chosen)) // (len(sizes) - number))
        rows = np.flatnonzero(group == each)
        rows = rows[np.argsort(truth_probability[rows], kind="stable")]
        worst, rest = rows[: quota // 2], rows[quota // 2 :]
        spaced = np.rint(np.linspace(0, len(rest) - 1, quota - len(worst))).astype(int)
        chosen += [*worst.tolist(), *rest[spaced].tolist()]
    return sorted(chosen, key=lambda row: (truth_probability[row], row))


def _agreement(case_metrics: pd.DataFrame) -> Mapping[tuple[str, str | None], float]:
    """Map case and label (None in single-label data) to the correlation of CAM and gaze, where it was measured."""
    if AGREEMENT_METRIC not in case_metrics:
        return {}
    measured = case_metrics.loc[case_metrics[AGREEMENT_METRIC].notna()]
    labels = measured["label"] if "label" in measured else [None] * len(measured)
    return dict(zip(zip(measured["case_id"], labels, strict=True), measured[AGREEMENT_METRIC].tolist(), strict=True))


def _case(
    predicted: PredictionTable,
    row: int,
    group: int,
    view: CaseView,
    frame: Frame,
    agreement: Mapping[tuple[str, str | None], float],
) -> GalleryCase:
    probabilities, truth, names = predicted.probabilities[row], predicted.truth[row], predicted.class_names
    top = int(probabilities.argmax())
    shown = group if group < len(names) else top
    case_id = str(predicted.case_ids[row])
    return GalleryCase(
        name=case_id,
        correct=bool(predicted.correct[row]),
        truth=tuple(name for name, value in zip(names, truth, strict=True) if value == 1),
        predicted=names[top],
        probability=float(probabilities[top]),
        truth_probability=float(predicted.truth_probability[row]),
        agreement=agreement.get((case_id, names[shown] if predicted.multi_label else None)),
        shown=shown,
        classes=tuple(
            ClassMap(k, names[k], float(probabilities[k]), _truth_word(truth[k]), map_layer(view.cam[k]))
            for k in _shown_classes(probabilities, truth)
        ),
        frame=frame,
        image=image_layer(view.image),
        gaze=map_layer(view.fine_gaze, GAZE_COLOUR_MAP) if view.fine_gaze is not None else None,
        scanpaths=tuple(scanpath(reading, frame) for reading in view.readings),
        fixations=sum(len(reading) for reading in view.readings),
        dwell_s=sum(reading.total_s for reading in view.readings),
        findings=region_marks(view.findings, frame),
        markers=region_marks(view.markers, frame),
    )


def _shown_classes(probabilities: Shaped[np.ndarray, " k"], truth: Shaped[np.ndarray, " k"]) -> Sequence[int]:
    """Choose the true and the most probable classes, and return them in order."""
    order = np.argsort(-(probabilities + 2 * (truth == 1)), kind="stable")
    return sorted(order[:MAX_CLASSES].tolist())


def _truth_word(truth: float) -> str:
    return "unknown" if np.isnan(truth) else "true" if truth == 1 else "absent"
