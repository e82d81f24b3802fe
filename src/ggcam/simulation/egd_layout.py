"""Writes cases in the raw layout of EGD-CXR 1.0.0, as it comes from its publisher."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator

from ggcam.simulation import columns, egd_rows, layout
from ggcam.simulation.anatomy import Chest
from ggcam.simulation.appearance import detect
from ggcam.simulation.config import SimulationConfig
from ggcam.simulation.dicom_writer import write_dicom
from ggcam.simulation.layout import Scene, Written, csv_lines
from ggcam.simulation.plan import CasePlan
from ggcam.simulation.scanpath import draw_gaze
from ggcam.simulation.screen import SimulatedScreen

_PNG_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]
"""Six times as fast as OpenCV's own, and no larger."""
_TRANSCRIPTS = "audio_segmentation_transcripts"
_HEADERS = {
    "master_sheet.csv": columns.MASTER,
    "bounding_boxes.csv": columns.BOUNDING_BOXES,
    "findings.csv": columns.FINDINGS,
    "split.csv": columns.SPLIT,
    "fixations.csv": columns.FIXATIONS,
}


def write_case(root: Path, config: SimulationConfig, plan: CasePlan, scene: Scene, rng: Generator) -> Written:
    """Let one reader look at the image, and write its DICOM file, its masks and its transcript."""
    canvas, findings = scene.canvas, scene.findings
    attentive, looks = bool(rng.random() >= config.inattentive_prob), rng.random() >= config.no_gaze_prob
    gaze = draw_gaze(scene.chest, findings, config.gaze_noise_deg, attentive, rng) if looks else None
    screen = SimulatedScreen(canvas.height_px, canvas.width_px)
    total_s = 0.0 if gaze is None else float(gaze.start_s[-1] + gaze.duration_s[-1])
    _write_masks(root, plan, scene.chest, egd_rows.transcript(findings, total_s, canvas.width_px))
    write_dicom(root, plan, detect(canvas, scene.image, rng), rng)
    lines = {
        "master_sheet.csv": csv_lines([egd_rows.master_row(plan, screen, findings, scene.device, rng)]),
        "bounding_boxes.csv": csv_lines(egd_rows.box_rows(plan, scene.chest.boxes)),
        "findings.csv": csv_lines(egd_rows.finding_rows(plan, findings, scene.marker)),
        "split.csv": csv_lines([[plan.dicom_id, plan.split]]),
        "fixations.csv": egd_rows.fixation_rows(plan, screen, gaze, rng),
    }
    missed = gaze is not None and not attentive and len(findings) > 0
    return Written(lines, readings=int(looks), fixations=0 if gaze is None else len(gaze.x_px), missed=int(missed))


def write_tables(root: Path, parts: Sequence[Written]) -> None:
    """Write the tables in the root."""
    layout.write_tables(root, _HEADERS, parts)


def _write_masks(root: Path, plan: CasePlan, chest: Chest, transcript: Mapping[str, Any]) -> None:
    """Write the case's folder of masks and transcript."""
    folder = root / _TRANSCRIPTS / plan.dicom_id
    folder.mkdir(parents=True)
    masks = {
        "left_lung": chest.lungs["left"],
        "right_lung": chest.lungs["right"],
        "mediastanum": chest.mediastinum,  # spelt so in EGD-CXR
        "aortic_knob": chest.aortic_knob,
    }
    for name, mask in masks.items():
        _, encoded = cv2.imencode(".png", mask.astype(np.uint8) * 255, _PNG_OPTIONS)
        (folder / f"{name}.png").write_bytes(encoded.tobytes())
    (folder / "transcript.json").write_text(json.dumps(transcript), encoding="utf-8")
