"""The gallery of a run: which cases it shows, and each one's layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from ggcam.data.case import Frame
from ggcam.data.prepared import PreparedData
from ggcam.data.stratify import strata
from ggcam.metrics.saliency import correlation
from ggcam.report.cases import CaseReader, CaseView, PredictionTable
from ggcam.report.layers import (
    GAZE_COLOUR_MAP,
    Picture,
    RegionMark,
    Scanpath,
    map_layer,
    region_marks,
    scanpath,
    xray,
)

MAX_CASES = 40
"""Gallery cases, at most."""

MAX_CLASSES = 14
"""Classes whose CAM a case is shown with, at most: the true ones, and the most probable of the others."""

NO_LABEL = "none of the labels"
"""Where a case may have several labels, one that has none."""


@dataclass(frozen=True)
class ClassMap:
    """What the network says of one class of a case.

    Attributes:
        number: of the class.
        name: of the class.
        probability: 0 to 1.
        truth: "true", "absent" or "unknown".
        cam: the layer.
    """

    number: int
    name: str
    probability: float
    truth: str
    cam: Picture


@dataclass(frozen=True)
class GalleryCase:
    """One case as the gallery shows it.

    Attributes:
        name: such as the case's id.
        right: whether the answer is.
        truth: names of its true classes; none where it has no label.
        predicted: name of the most probable class.
        probability: of that class.
        truth_probability: probability that the truth got: the lower, the worse.
        agreement: correlation of the CAM that is shown first with the gaze map, -1 to 1; None without gaze.
        shown: number of the class whose CAM is shown first.
        classes: its CAMs.
        frame: size of the coordinates of all marks.
        xray: the image.
        gaze: the gaze map; None without gaze.
        scanpaths: one a reading.
        fixations: number of them.
        dwell_s: sum of their durations.
        findings: outlines.
        markers: outlines of simulated shortcuts.
    """

    name: str
    right: bool
    truth: tuple[str, ...]
    predicted: str
    probability: float
    truth_probability: float
    agreement: float | None
    shown: int
    classes: tuple[ClassMap, ...]
    frame: Frame
    xray: Picture
    gaze: Picture | None = None
    scanpaths: tuple[Scanpath, ...] = ()
    fixations: int = 0
    dwell_s: float = 0.0
    findings: tuple[RegionMark, ...] = ()
    markers: tuple[RegionMark, ...] = ()


def gallery_cases(shown: CaseReader, data: PreparedData, predicted: PredictionTable) -> tuple[GalleryCase, ...]:
    """Up to `MAX_CASES` cases of the run, the worst first: see `chosen_cases`."""
    group = strata(predicted.truth)
    return tuple(
        _case(predicted, row, int(group[row]), shown[str(predicted.case_ids[row])], data.frame)
        for row in chosen_cases(predicted.truth_probability, group, MAX_CASES)
    )


def chosen_cases(truth_probability: Float[np.ndarray, " n"], group: Int[np.ndarray, " n"], most: int) -> list[int]:
    """Rows to show, the least certain of the truth first.

    Every group gets the same number, as far as it has so many: half of them its worst, the others evenly spaced from
    there to its best, so that what is shown is not failures alone.
    """
    chosen: list[int] = []
    sizes = sorted((int((group == each).sum()), int(each)) for each in np.unique(group))
    for number, (size, each) in enumerate(sizes):
        quota = min(size, (most - len(chosen)) // (len(sizes) - number))
        rows = np.flatnonzero(group == each)
        rows = rows[np.argsort(truth_probability[rows], kind="stable")]
        worst, rest = rows[: quota // 2], rows[quota // 2 :]
        spaced = np.rint(np.linspace(0, len(rest) - 1, quota - len(worst))).astype(int)
        chosen += [*worst.tolist(), *rest[spaced].tolist()]
    return sorted(chosen, key=lambda row: (truth_probability[row], row))


def _case(predicted: PredictionTable, row: int, group: int, shown: CaseView, frame: Frame) -> GalleryCase:
    probabilities, truth, names = predicted.probabilities[row], predicted.truth[row], predicted.class_names
    top = int(probabilities.argmax())
    first = group if group < len(names) else top
    agreement = None
    if shown.gaze is not None:
        found = float(correlation(shown.cam[first][None].astype(np.float64), shown.gaze[None].astype(np.float64))[0])
        agreement = found if np.isfinite(found) else None
    return GalleryCase(
        name=str(predicted.case_ids[row]),
        right=bool(predicted.right[row]),
        truth=tuple(name for name, value in zip(names, truth, strict=True) if value == 1),
        predicted=names[top],
        probability=float(probabilities[top]),
        truth_probability=float(predicted.truth_probability[row]),
        agreement=agreement,
        shown=first,
        classes=tuple(
            ClassMap(k, names[k], float(probabilities[k]), _word(truth[k]), map_layer(shown.cam[k]))
            for k in _mapped(probabilities, truth)
        ),
        frame=frame,
        xray=xray(shown.image),
        gaze=map_layer(shown.fine_gaze, GAZE_COLOUR_MAP) if shown.fine_gaze is not None else None,
        scanpaths=tuple(scanpath(reading, frame) for reading in shown.readings),
        fixations=sum(len(reading) for reading in shown.readings),
        dwell_s=sum(reading.total_s for reading in shown.readings),
        findings=region_marks(shown.findings, frame),
        markers=region_marks(shown.markers, frame),
    )


def _mapped(probabilities: Shaped[np.ndarray, " k"], truth: Shaped[np.ndarray, " k"]) -> Sequence[int]:
    """Classes to show, in their order."""
    order = np.argsort(-(probabilities + 2 * (truth == 1)), kind="stable")
    return sorted(order[:MAX_CLASSES].tolist())


def _word(truth: float) -> str:
    return "unknown" if np.isnan(truth) else "true" if truth == 1 else "absent"
