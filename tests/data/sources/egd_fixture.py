"""A writer of the layout of EGD-CXR, with all columns in order and invented ids, people and numbers."""

import csv
import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data.dicom_fixture import write_dicom

_MASTER = """
dicom_id path study_id patient_id stay_id gender anchor_age
image_top_pad image_bottom_pad image_left_pad image_right_pad
dx1 dx1_icd dx2 dx2_icd dx3 dx3_icd dx4 dx4_icd dx5 dx5_icd dx6 dx6_icd dx7 dx7_icd dx8 dx8_icd dx9 dx9_icd
normal_reports Normal CHF pneumonia consolidation enlarged_cardiac_silhouette linear__patchy_atelectasis
lobar__segmental_collapse not_otherwise_specified_opacity___pleural__parenchymal_opacity__
pleural_effusion_or_thickening pulmonary_edema__hazy_opacity normal_anatomically elevated_hemidiaphragm
hyperaeration vascular_redistribution
atelectasis__chx cardiomegaly__chx consolidation__chx edema__chx enlarged_cardiomediastinum__chx fracture__chx
lung_lesion__chx lung_opacity__chx no_finding__chx pleural_effusion__chx pleural_other__chx pneumonia__chx
pneumothorax__chx support_devices__chx cxr_exam_indication
"""
_FIXATIONS = """
SESSION_ID MEDIA_ID DICOM_ID CNT Time_(in_secs) TIMETICK(f=10000000) FPOGX FPOGY FPOGS FPOGD FPOGID FPOGV
BPOGX BPOGY BPOGV LPCX LPCY LPD LPS LPV RPCX RPCY RPD RPS RPV BKID BKDUR BKPMIN LPMM LPMMV RPMM RPMMV
SACCADE_MAG SACCADE_DIR VID_FRAME X_ORIGINAL Y_ORIGINAL
"""
MASTER_COLUMNS = _MASTER.split()
FIXATION_COLUMNS = [name.replace("Time_(in_secs)", "Time (in secs)") for name in _FIXATIONS.split()]
assert (len(MASTER_COLUMNS), len(FIXATION_COLUMNS)) == (59, 37)


@dataclass
class Egd:
    """Rows to write; a test may change any of them first."""

    root: Path
    records: list[dict] = field(default_factory=list)
    fixations: list[dict] = field(default_factory=list)
    samples: list[dict] = field(default_factory=list)
    boxes: list[list] = field(default_factory=list)
    findings: list[list] = field(default_factory=list)

    def case(self, *classes: str, height: int = 61, width: int = 50, image: bool = True, **columns: object) -> str:
        """Add a record of the given classes, and its image."""
        number = len(self.records) + 1
        dicom_id = "-".join([f"{number:08x}"] * 5)
        patient, study = 90_000_000 + number, 80_000_000 + number
        path = f"files/p90/p{patient}/s{study}/{dicom_id}.dcm"
        record = {
            "dicom_id": dicom_id,
            "path": path,
            "study_id": study,
            "patient_id": patient,
            **{name: int(name in classes) for name in ("Normal", "CHF", "pneumonia")},
            "cxr_exam_indication": f'Invented, "case {number}",\nwith line\n\nbreaks',
        }
        self.records.append(record | columns)
        if image:
            target = self.root / path
            target.parent.mkdir(parents=True)
            write_dicom(target, np.full((height, width), number, np.uint16))
        return dicom_id

    def look(self, dicom_id: str, x: object, y: object, start: object = 1.0, duration: object = 0.3, valid: object = 1):
        """Add a fixation at a pixel."""
        row = {
            "DICOM_ID": dicom_id,
            "FPOGS": start,
            "FPOGD": duration,
            "FPOGV": valid,
            "X_ORIGINAL": x,
            "Y_ORIGINAL": y,
        }
        self.fixations.append({"FPOGX": 0.4, "FPOGY": 0.6, "Time (in secs)": 99.0} | row)

    def say(self, dicom_id: str, *phrases: tuple[str, float, float]) -> None:
        """Write a transcript of (phrase, begin, end)."""
        folder = self.root / "audio_segmentation_transcripts" / dicom_id
        folder.mkdir(parents=True, exist_ok=True)
        stamped = [{"phrase": text, "begin_time": begin, "end_time": end} for text, begin, end in phrases]
        content = {"full_text": " ".join(text for text, _, _ in phrases), "time_stamped_text": stamped}
        (folder / "transcript.json").write_text(json.dumps(content))

    def write(self, renamed: dict[str, str] | None = None, zipped: bool = False, newline: str = "\n") -> Path:
        """Write the tables; `renamed` changes column names."""
        names = renamed or {}
        gaze = "fixations.csv.gz" if zipped else "fixations.csv"
        tables = [("master_sheet.csv", MASTER_COLUMNS, self.records), (gaze, FIXATION_COLUMNS, self.fixations)]
        if self.samples:
            tables.append(("eye_gaze.csv", FIXATION_COLUMNS, self.samples))
        for file, columns, rows in tables:
            with (gzip.open if zipped and file == gaze else open)(self.root / file, "wt", newline="") as opened:
                writer = csv.writer(opened, lineterminator=newline)
                writer.writerow([names.get(column, column) for column in columns])
                writer.writerows([[row.get(column, "") for column in columns] for row in rows])
        for file, header, rows in (
            ("bounding_boxes.csv", ["dicom_id", "bbox_name", "x1", "x2", "y1", "y2"], self.boxes),
            ("findings.csv", ["dicom_id", "name", "kind", "x0_px", "y0_px", "x1_px", "y1_px"], self.findings),
        ):
            if rows:
                with (self.root / file).open("w", newline="") as opened:
                    csv.writer(opened).writerows([header, *rows])
        return self.root


def three_cases(root: Path) -> tuple[Egd, list[str]]:
    """One case per class, each with one fixation."""
    egd = Egd(root)
    ids = [egd.case(name) for name in ("pneumonia", "Normal", "CHF")]
    for number, dicom_id in enumerate(ids):
        egd.look(dicom_id, 10 + number, 20 + number)
    return egd, ids
