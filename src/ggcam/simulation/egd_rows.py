"""Rows of one case in EGD-CXR's tables, and its transcript."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.random import Generator

from ggcam.simulation import egd_columns
from ggcam.simulation.anatomy import Box
from ggcam.simulation.egd_screen import SCREEN_HEIGHT, SCREEN_WIDTH, SimulatedScreen
from ggcam.simulation.findings import CLASS_NAMES, SimulatedFinding
from ggcam.simulation.plan import CasePlan
from ggcam.simulation.report_sentences import report_sentences
from ggcam.simulation.scanpath import SimulatedGaze

SAMPLES_PER_S = 60
IMAGES_PER_SESSION, CALIBRATION_INTERVAL = 29, 20
CALIBRATION_FIXATIONS = 4

_DIAGNOSES: Mapping[int, tuple[tuple[str, str], ...]] = {
    0: (("CHEST PAIN NOS", "786.50"), ("Syncope and collapse", "R55"), ("ABDOMINAL PAIN OTHER SPECIED", "789.09")),
    1: (("CONGESTIVE HEART FAILURE UNSPEC", "428.0"), ("Heart failure, unspecified", "I50.9")),
    2: (("PNEUMONIA,ORGANISM UNSPECIFIED", "486"), ("Pneumonia, unspecified organism", "J18.9")),
}
_COMMON = (("HYPERTENSION NOS", "401.9"), ("Essential (primary) hypertension", "I10"), ("FEVER, UNSPECIFIED", "780.60"))
_INDICATIONS = (
    "History: ___ with cough and fever",
    "___ with shortness of breath, evaluate for acute process",
    "___ with chest pain\nassess for cardiopulmonary process",
    'History: ___ with weakness\n\n  "eval for infiltrate"',
    "___ after a fall, rule out fracture",
    "___ with dyspnea, edema or pneumonia?\ncomparison: none",
)
# The columns FIXATIONS after DICOM_ID. Formatting one pattern per row is much faster than column by column.
_GAZE_PATTERN = (
    "%d,%.5f,%d,%.5f,%.5f,%.5f,%.5f,%d,%d,%.5f,%.5f,%d,%.5f,%.5f,%.5f,%.5f,%d,%.5f,%.5f,%.5f,%.5f,%d,"
    "%d,%.5f,%d,%.5f,%d,%.5f,%d,%.5f,%.5f,%d,%d,%d\n"
)


def master_row(
    plan: CasePlan, screen: SimulatedScreen, findings: Sequence[SimulatedFinding], device: bool, rng: Generator
) -> list[Any]:
    """Make the case's row of master_sheet.csv.

    Args:
        plan: the case's class, split and ids.
        screen: place of the image on the screen.
        findings: the case's findings.
        device: whether the image shows a device.
        rng: random generator of the case.

    Returns:
        Values in the order of the columns.
    """
    names = {finding.region.name for finding in findings}
    patient = np.random.default_rng(plan.patient_id)
    decade = int(patient.integers(2, 9)) * 10
    top, bottom, left, right = screen.pads
    values: dict[str, Any] = {
        "dicom_id": plan.dicom_id,
        "path": plan.path,
        "study_id": plan.study_id,
        "patient_id": plan.patient_id,
        "stay_id": int(rng.integers(30_000_000, 40_000_000)),
        "gender": "FM"[int(patient.random() < 0.5)],
        "anchor_age": f"{decade} - {decade + 10}",
        "image_top_pad": top,
        "image_bottom_pad": bottom,
        "image_left_pad": left,
        "image_right_pad": right,
        "normal_reports": int(plan.label == 0),
        **{name: int(plan.label == label) for label, name in enumerate(CLASS_NAMES)},
        "consolidation": int("consolidation" in names),
        "enlarged_cardiac_silhouette": int("enlarged heart" in names),
        "linear__patchy_atelectasis": int(rng.random() < 0.1),
        "lobar__segmental_collapse": 0,
        "not_otherwise_specified_opacity___pleural__parenchymal_opacity__": int("consolidation" in names),
        "pleural_effusion_or_thickening": int("effusion" in names),
        "pulmonary_edema__hazy_opacity": int("basal haze" in names),
        "normal_anatomically": int(not names),
        "elevated_hemidiaphragm": 0,
        "hyperaeration": 0,
        "vascular_redistribution": int("vascular redistribution" in names),
        "cxr_exam_indication": _INDICATIONS[rng.integers(len(_INDICATIONS))],
    }
    first = _DIAGNOSES[plan.label][rng.integers(len(_DIAGNOSES[plan.label]))]
    for number, (text, code) in enumerate((first, *_COMMON[: rng.integers(len(_COMMON) + 1)]), start=1):
        values[f"dx{number}"], values[f"dx{number}_icd"] = text, code
    for label, present in _chexpert_labels(names, device).items():
        # A program extracted the labels from reports: some are uncertain (-1), most are not mentioned (blank).
        values[f"{label}__chx"] = (-1 if rng.random() < 0.15 else 1) if present else (0 if rng.random() < 0.2 else "")
    return [values.get(column, "") for column in egd_columns.MASTER]


def _chexpert_labels(names: set[str], device: bool) -> dict[str, bool]:
    true = {
        "cardiomegaly": "enlarged heart" in names,
        "consolidation": "consolidation" in names,
        "edema": "basal haze" in names,
        "lung_opacity": bool(names & {"consolidation", "basal haze"}),
        "no_finding": not names,
        "pleural_effusion": "effusion" in names,
        "pneumonia": "consolidation" in names,
        "support_devices": device,
    }
    return {label: true.get(label, False) for label in egd_columns.CHX_LABELS}


def fixation_rows(plan: CasePlan, screen: SimulatedScreen, gaze: SimulatedGaze | None, rng: Generator) -> str:
    """Make the case's lines of fixations.csv, and before some cases those of the tracker's calibration.

    Args:
        plan: the case's position and ids.
        screen: place of the image on the screen.
        gaze: the reader's gaze; None for a case without.
        rng: random generator of the case.

    Returns:
        Lines of CSV; empty without gaze and calibration.
    """
    lines = ""
    if plan.index % CALIBRATION_INTERVAL == 0:
        n = CALIBRATION_FIXATIONS
        x, y = 0.5 + rng.normal(0, 0.004, n), 0.5 + rng.normal(0, 0.006, n)
        start = 0.3 + 0.4 * np.arange(n)
        # The calibration's white dot bears the image's name without its last five characters.
        calibration_id = plan.dicom_id[:-5]
        lines += _gaze_lines(plan, calibration_id, screen, np.round(x, 5), np.round(y, 5), start, np.full(n, 0.35), rng)
    if gaze is not None:
        fpogx, fpogy = screen.to_fractions(gaze.x_px, gaze.y_px)
        lines += _gaze_lines(plan, plan.dicom_id, screen, fpogx, fpogy, gaze.start_s, gaze.duration_s, rng)
    return lines


def _gaze_lines(
    plan: CasePlan,
    image_id: str,
    screen: SimulatedScreen,
    fpogx: np.ndarray,
    fpogy: np.ndarray,
    start_s: np.ndarray,
    duration_s: np.ndarray,
    rng: Generator,
) -> str:
    n = len(fpogx)
    end = start_s + duration_s
    count = np.round(end * SAMPLES_PER_S)
    pupil = rng.normal(3.2, 0.5) + rng.normal(0, 0.08, (2, n))
    eye = rng.normal(0.5, 0.01, (2, 2, 1)) + rng.normal(0, 0.002, (2, 2, n))
    best = np.stack([fpogx, fpogy]) + rng.normal(0, 0.004, (2, n))
    step = np.stack(
        [np.diff(fpogx, prepend=fpogx[:1]) * SCREEN_WIDTH, np.diff(fpogy, prepend=fpogy[:1]) * SCREEN_HEIGHT]
    )
    direction = np.degrees(np.arctan2(-step[1], step[0])) % 360
    one, zero = np.ones(n), np.zeros(n)
    x_original, y_original = screen.to_original(fpogx, fpogy)
    tick = rng.integers(10**11, 10**12) + np.round(end * 10_000_000)
    table = np.stack(
        [
            *(count, end, tick, fpogx, fpogy, start_s, duration_s, np.arange(1, n + 1), duration_s > 0, *best, one),
            *(*eye[0], 4.6 * pupil[0], one, one, *eye[1], 4.6 * pupil[1], one, one),
            *(zero, zero, np.full(n, 14), pupil[0], one, pupil[1], one),
            *(np.hypot(*step), direction, count // 2, x_original, y_original),
        ],
        axis=1,
    )
    session, media = 1 + plan.index // IMAGES_PER_SESSION, 1 + plan.index % IMAGES_PER_SESSION
    pattern = f"{session},{media},{image_id},{_GAZE_PATTERN}"
    return "".join([pattern % tuple(row) for row in table.tolist()])


def box_rows(plan: CasePlan, boxes: Mapping[str, Box]) -> list[list[Any]]:
    """Make the case's rows of bounding_boxes.csv.

    Args:
        plan: the case's ids.
        boxes: boxes by the name of their region.

    Returns:
        Rows of dicom_id, name, x1, x2, y1 and y2, sorted by name.
    """
    return [
        [plan.dicom_id, name, *(round(side, 2) for side in (box.x0_px, box.x1_px, box.y0_px, box.y1_px))]
        for name, box in sorted(boxes.items())
    ]


def finding_rows(plan: CasePlan, findings: Sequence[SimulatedFinding], marker: Box) -> list[list[Any]]:
    """Make the case's rows of findings.csv, the known truth.

    Args:
        plan: the case's ids.
        findings: the case's findings.
        marker: box of the marker.

    Returns:
        Rows of dicom_id, name, kind and the four sides in pixels.
    """
    rows = [(r.name, r.kind, r.x0_px, r.y0_px, r.x1_px, r.y1_px) for r in (finding.region for finding in findings)]
    rows.append(("shortcut marker", "box", marker.x0_px, marker.y0_px, marker.x1_px, marker.y1_px))
    return [[plan.dicom_id, name, kind, *(round(side, 2) for side in sides)] for name, kind, *sides in rows]


def transcript(findings: Sequence[SimulatedFinding], total_s: float, width_px: int) -> dict[str, Any]:
    """Make the transcript of the report, with sentences spread evenly over the reading.

    Args:
        findings: the case's findings.
        total_s: duration of the reading in seconds.
        width_px: width of the image in pixels.

    Returns:
        Content of transcript.json.
    """
    phrases = [phrase for phrase, _ in report_sentences(findings, width_px)]
    times = np.round(np.linspace(0.1, 0.9, len(phrases) + 1) * max(total_s, 1.0), 2)
    spoken = [
        {"phrase": phrase, "begin_time": float(begin), "end_time": float(end)}
        for phrase, begin, end in zip(phrases, times[:-1], times[1:], strict=True)
    ]
    return {"full_text": " ".join(phrases), "time_stamped_text": spoken}
