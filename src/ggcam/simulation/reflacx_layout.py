"""Writes cases in the raw layout of REFLACX 1.0.0, with the images in the layout of MIMIC-CXR.

Unlike the real data set, it has no samples of the tracker (gaze_data/<id>/gaze.csv).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from numpy.random import Generator

from ggcam.simulation import layout, reflacx_rows
from ggcam.simulation.appearance import digitise
from ggcam.simulation.config import SimulationConfig
from ggcam.simulation.dicom_writer import write_dicom
from ggcam.simulation.layout import DrawnCase, WrittenCase, csv_lines
from ggcam.simulation.plan import CasePlan
from ggcam.simulation.reflacx_columns import CORNERS, FIXATIONS, LABELS, METADATA, WORDS
from ggcam.simulation.reflacx_dictation import word_rows
from ggcam.simulation.reflacx_screen import draw_views
from ggcam.simulation.scanpath import draw_gaze

_MAIN_FOLDER = "main_data"
_SPLIT_NAMES = {"train": "train", "valid": "validate", "test": "test"}
_LINE_ENDING = "\r\n"


def write_case(root: Path, config: SimulationConfig, plan: CasePlan, drawn: DrawnCase, rng: Generator) -> WrittenCase:
    """Write the case's image, and simulate and write its readings.

    Args:
        root: folder of the data set.
        config: configuration of the simulation.
        plan: the case's class, split, ids and readings.
        drawn: the drawn image and its content.
        rng: random generator of the case.

    Returns:
        The case's lines in the tables.
    """
    canvas, findings = drawn.canvas, drawn.findings
    size = canvas.height_px, canvas.width_px
    write_dicom(root, plan, digitise(canvas, drawn.image, rng), rng)
    lines: defaultdict[str, str] = defaultdict(str)
    readings = fixations = inattentive = 0
    for reading in plan.readings:
        folder, phase = root / _MAIN_FOLDER / reading.reading_id, reading.phase
        folder.mkdir(parents=True)
        attentive, has_gaze = bool(rng.random() >= config.inattentive_prob), rng.random() >= config.no_gaze_prob
        values = reflacx_rows.draw_certainties(findings, phase, attentive, drawn.has_device, rng)
        ellipses = reflacx_rows.ellipse_rows(findings, phase, values, size, rng)
        _write_csv(folder / "anomaly_location_ellipses.csv", (*CORNERS, "certainty", *LABELS[phase]), ellipses)
        _write_csv(folder / "chest_bounding_box.csv", CORNERS, [reflacx_rows.chest_row(drawn.chest, size, rng)])
        discarded = reading.discarded or not has_gaze
        if not discarded:
            gaze = draw_gaze(drawn.chest, findings, config.gaze_noise_deg, attentive, rng)
            zero_s = rng.uniform(*reflacx_rows.AUDIO_OFFSET_S)
            views = draw_views(gaze, *size, rng)
            mentioned = [finding for finding in findings if values[reflacx_rows.label_name(finding, phase)]]
            # A generator of its own, so that the words do not change what else is drawn.
            words = word_rows(mentioned, gaze, drawn.chest, zero_s, rng.spawn(1)[0])
            _write_csv(folder / "fixations.csv", FIXATIONS, reflacx_rows.fixation_rows(gaze, views, zero_s, rng))
            _write_csv(folder / "timestamps_transcription.csv", WORDS, words)
            (folder / "transcription.txt").write_text(" ".join(row[0] for row in words), encoding="utf-8")
            readings, fixations = readings + 1, fixations + len(gaze.x_px)
            inattentive += not attentive and len(findings) > 0
        image = f"/data/physionet.org/files/mimic-cxr/2.0.0/{plan.path}"
        record = [reading.reading_id, _SPLIT_NAMES[plan.split], discarded, image, plan.dicom_id, plan.patient_id]
        name = f"{_MAIN_FOLDER}/metadata_phase_{phase}.csv"
        lines[name] += csv_lines([[*record, *size[::-1], *(values[label] for label in LABELS[phase])]], _LINE_ENDING)
    return WrittenCase(lines, readings, fixations, inattentive)


def write_tables(root: Path, cases: Sequence[WrittenCase]) -> None:
    """Write the metadata of the three phases.

    Args:
        root: folder of the data set.
        cases: cases in the order of their lines.
    """
    headers = {f"{_MAIN_FOLDER}/metadata_phase_{phase}.csv": columns for phase, columns in METADATA.items()}
    layout.write_tables(root, headers, cases, _LINE_ENDING)


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    path.write_text(csv_lines([header, *rows], _LINE_ENDING), encoding="utf-8", newline="")
