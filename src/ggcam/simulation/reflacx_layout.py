"""Writes cases in the raw layout of REFLACX 1.0.0, with the images beside it as MIMIC-CXR has them.

What a download has and this has not: gaze_data/<id>/gaze.csv, the tracker's samples.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from numpy.random import Generator

from ggcam.simulation import layout, reflacx_rows
from ggcam.simulation.appearance import detect
from ggcam.simulation.config import SimulationConfig
from ggcam.simulation.dicom_writer import write_dicom
from ggcam.simulation.layout import Scene, Written, csv_lines
from ggcam.simulation.plan import CasePlan
from ggcam.simulation.reflacx_columns import CORNERS, FIXATIONS, LABELS, METADATA, WORDS
from ggcam.simulation.reflacx_screen import draw_views
from ggcam.simulation.scanpath import draw_gaze

_MAIN = "main_data"
_SPLITS = {"train": "train", "valid": "validate", "test": "test"}
_END = "\r\n"


def write_case(root: Path, config: SimulationConfig, plan: CasePlan, scene: Scene, rng: Generator) -> Written:
    """Write the image, and let its readers read it one after the other."""
    canvas, findings = scene.canvas, scene.findings
    size = canvas.height_px, canvas.width_px
    write_dicom(root, plan, detect(canvas, scene.image, rng), rng)
    lines: defaultdict[str, str] = defaultdict(str)
    readings = fixations = missed = 0
    for reading in plan.readings:
        folder, phase = root / _MAIN / reading.reading_id, reading.phase
        folder.mkdir(parents=True)
        attentive, looks = bool(rng.random() >= config.inattentive_prob), rng.random() >= config.no_gaze_prob
        values = reflacx_rows.certainties(findings, phase, attentive, scene.device, rng)
        seen = reflacx_rows.ellipse_rows(findings, phase, values, size, rng)
        _write(folder / "anomaly_location_ellipses.csv", (*CORNERS, "certainty", *LABELS[phase]), seen)
        _write(folder / "chest_bounding_box.csv", CORNERS, [reflacx_rows.chest_row(scene.chest, size, rng)])
        discarded = reading.discarded or not looks
        if not discarded:
            gaze = draw_gaze(scene.chest, findings, config.gaze_noise_deg, attentive, rng)
            zero_s = rng.uniform(*reflacx_rows.RECORDS_BEFORE_S)
            views = draw_views(gaze, *size, rng)
            told = [each for each in findings if values[reflacx_rows.label_of(each, phase)]]
            words = reflacx_rows.word_rows(told, gaze, canvas.width_px, zero_s)
            _write(folder / "fixations.csv", FIXATIONS, reflacx_rows.fixation_rows(gaze, views, zero_s, rng))
            _write(folder / "timestamps_transcription.csv", WORDS, words)
            (folder / "transcription.txt").write_text(" ".join(row[0] for row in words), encoding="utf-8")
            readings, fixations = readings + 1, fixations + len(gaze.x_px)
            missed += not attentive and len(findings) > 0
        place = f"/data/physionet.org/files/mimic-cxr/2.0.0/{plan.path}"
        record = [reading.reading_id, _SPLITS[plan.split], discarded, place, plan.dicom_id, plan.patient_id]
        name = f"{_MAIN}/metadata_phase_{phase}.csv"
        lines[name] += csv_lines([[*record, *size[::-1], *(values[label] for label in LABELS[phase])]], _END)
    return Written(lines, readings, fixations, missed)


def write_tables(root: Path, parts: Sequence[Written]) -> None:
    """Write the metadata of the three phases."""
    headers = {f"{_MAIN}/metadata_phase_{phase}.csv": columns for phase, columns in METADATA.items()}
    layout.write_tables(root, headers, parts, _END)


def _write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    path.write_text(csv_lines([header, *rows], _END), encoding="utf-8", newline="")
