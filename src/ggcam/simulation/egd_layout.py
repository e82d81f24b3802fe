"""Writes cases in the raw layout of EGD-CXR 1.0.0."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator

from ggcam.simulation import egd_columns, egd_rows, layout
from ggcam.simulation.anatomy import Chest
from ggcam.simulation.appearance import digitise
from ggcam.simulation.config import SimulationConfig
from ggcam.simulation.dicom_writer import write_dicom
from ggcam.simulation.egd_screen import SimulatedScreen
from ggcam.simulation.layout import DrawnCase, WrittenCase, csv_lines
from ggcam.simulation.plan import CasePlan
from ggcam.simulation.scanpath import draw_gaze

_PNG_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]
"""Six times as fast as OpenCV's default, and no larger."""
_TRANSCRIPTS = "audio_segmentation_transcripts"
_HEADERS = {
    "master_sheet.csv": egd_columns.MASTER,
    "bounding_boxes.csv": egd_columns.BOUNDING_BOXES,
    "findings.csv": egd_columns.FINDINGS,
    "split.csv": egd_columns.SPLIT,
    "fixations.csv": egd_columns.FIXATIONS,
}


def write_case(root: Path, config: SimulationConfig, plan: CasePlan, drawn: DrawnCase, rng: Generator) -> WrittenCase:
    """Draw the gaze of one reader, and write the case's DICOM file, masks and transcript.

    Args:
        root: folder of the data set.
        config: configuration of the simulation.
        plan: the case's class, split and ids.
        drawn: the drawn image and its content.
        rng: random generator of the case.

    Returns:
        The case's lines in the tables.
    """
    canvas, findings = drawn.canvas, drawn.findings
    attentive, has_gaze = bool(rng.random() >= config.inattentive_prob), rng.random() >= config.no_gaze_prob
    gaze = draw_gaze(drawn.chest, findings, config.gaze_noise_deg, attentive, rng) if has_gaze else None
    screen = SimulatedScreen(canvas.height_px, canvas.width_px)
    total_s = 0.0 if gaze is None else float(gaze.start_s[-1] + gaze.duration_s[-1])
    _write_masks(root, plan, drawn.chest, egd_rows.transcript(findings, total_s, canvas.width_px))
    write_dicom(root, plan, digitise(canvas, drawn.image, rng), rng)
    lines = {
        "master_sheet.csv": csv_lines([egd_rows.master_row(plan, screen, findings, drawn.has_device, rng)]),
        "bounding_boxes.csv": csv_lines(egd_rows.box_rows(plan, drawn.chest.boxes)),
        "findings.csv": csv_lines(egd_rows.finding_rows(plan, findings, drawn.marker)),
        "split.csv": csv_lines([[plan.dicom_id, plan.split]]),
        "fixations.csv": egd_rows.fixation_rows(plan, screen, gaze, rng),
    }
    inattentive = gaze is not None and not attentive and len(findings) > 0
    return WrittenCase(
        lines, readings=int(has_gaze), fixations=0 if gaze is None else len(gaze.x_px), inattentive=int(inattentive)
    )


def write_tables(root: Path, cases: Sequence[WrittenCase]) -> None:
    """Write the tables in the root folder.

    Args:
        root: folder of the data set.
        cases: cases in the order of their lines.
    """
    layout.write_tables(root, _HEADERS, cases)


def _write_masks(root: Path, plan: CasePlan, chest: Chest, transcript: Mapping[str, Any]) -> None:
    folder = root / _TRANSCRIPTS / plan.dicom_id
    folder.mkdir(parents=True)
    masks = {
        "left_lung": chest.lungs["left"],
        "right_lung": chest.lungs["right"],
        "mediastanum": chest.mediastinum,  # EGD-CXR's spelling
        "aortic_knob": chest.aortic_knob,
    }
    for name, mask in masks.items():
        _, encoded = cv2.imencode(".png", mask.astype(np.uint8) * 255, _PNG_OPTIONS)
        (folder / f"{name}.png").write_bytes(encoded.tobytes())
    (folder / "transcript.json").write_text(json.dumps(transcript), encoding="utf-8")
