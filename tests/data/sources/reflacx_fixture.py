"""A writer of the layout of REFLACX, with all columns in order, CRLF, and invented ids, people and numbers."""

import csv
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data.dicom_fixture import write_dicom

_PHASE_1 = """
Airway wall thickening,Atelectasis,Consolidation,Emphysema,Enlarged cardiac silhouette,Fibrosis,Fracture,
Groundglass opacity,Mass,Nodule,Other,Pleural effusion,Pleural thickening,Pneumothorax,Pulmonary edema,
Quality issue,Support devices,Wide mediastinum
"""
_PHASE_2 = """
Abnormal mediastinal contour,Acute fracture,Atelectasis,Consolidation,Enlarged cardiac silhouette,Enlarged hilum,
Groundglass opacity,Hiatal hernia,High lung volume / emphysema,Interstitial lung disease,Lung nodule or mass,Other,
Pleural abnormality,Pneumothorax,Pulmonary edema,Support devices
"""
PHASE_1, PHASE_2 = (text.replace("\n", "").split(",") for text in (_PHASE_1, _PHASE_2))
LABELS = {1: PHASE_1, 2: PHASE_2, 3: PHASE_2}
assert (len(PHASE_1), len(PHASE_2)) == (18, 16)
_FIXED = "id split eye_tracking_data_discarded image dicom_id subject_id image_size_x image_size_y"
_FIXATION = """
timestamp_start_fixation timestamp_end_fixation x_position y_position pupil_area_normalized
angular_resolution_x_pixels_per_degree angular_resolution_y_pixels_per_degree window_width window_level
xmin_shown_from_image ymin_shown_from_image xmax_shown_from_image ymax_shown_from_image
xmin_in_screen_coordinates ymin_in_screen_coordinates xmax_in_screen_coordinates ymax_in_screen_coordinates
"""
FIXED, FIXATION = _FIXED.split(), _FIXATION.split()
assert len(FIXATION) == 17
CORNERS = ["xmin", "ymin", "xmax", "ymax"]


@dataclass
class Reflacx:
    """Rows to write; a test may change any of them first."""

    root: Path
    records: dict[int, list[dict]] = field(default_factory=lambda: {1: [], 2: [], 3: []})
    fixations: dict[str, list[dict]] = field(default_factory=dict)
    words: dict[str, list[tuple]] = field(default_factory=dict)
    ellipses: dict[str, list[dict]] = field(default_factory=dict)
    chests: dict[str, tuple] = field(default_factory=dict)
    main: str = "main_data"

    def image(self, pixels: np.ndarray, suffix: str = ".dcm") -> tuple[str, str, int, tuple[int, int]]:
        """Write an image of a new patient; what a record needs to know of it."""
        number = len(list(self.root.rglob("*.dcm"))) + 1
        dicom_id, subject = "-".join([f"{number:08x}"] * 5), 90_000_000 + number
        path = f"files/p90/p{subject}/s{80_000_000 + number}/{dicom_id}.dcm"
        target = (self.root / path).with_suffix(suffix)
        target.parent.mkdir(parents=True)
        write_dicom(target, pixels, bits=8)
        return dicom_id, path, subject, pixels.shape

    def reading(self, image: tuple, phase: int, *, split: str = "train", discarded: bool = False, **labels) -> str:
        """Add a reading of an image; labels are by name with '_' for ' ', 0 where not given."""
        dicom_id, path, subject, (height, width) = image
        number = sum(map(len, self.records.values())) + 1
        reading_id = f"P300R{number:06}" if phase == 3 else f"P{phase}{number % 100:02}R{number:06}"
        said = {name.replace("_", " "): value for name, value in labels.items()}
        certain = {name: said.get(name, 0) for name in LABELS[phase]}
        certain |= {"Support devices": said.get("Support devices", False), "Other": said.get("Other", "")}
        if phase == 1:
            certain["Quality issue"] = said.get("Quality issue", False)
        self.records[phase].append(
            {
                "id": reading_id,
                "split": split,
                "eye_tracking_data_discarded": discarded,
                "image": f"somewhere/physionet.org/files/mimic-cxr/2.0.0/{path}",
                "dicom_id": dicom_id,
                "subject_id": subject,
                "image_size_x": width,
                "image_size_y": height,
                **certain,
            }
        )
        self.chests[reading_id] = (2, 3, width - 4, height - 6)
        self.ellipses[reading_id] = []
        if not discarded:
            self.fixations[reading_id] = []
            self.words[reading_id] = []
        return reading_id

    def look(self, reading_id: str, x: object, y: object, start: float = 1.0, end: object = 1.3, **columns: object):
        """Add a fixation at a pixel, on the whole image unless columns say otherwise."""
        record = next(r for rows in self.records.values() for r in rows if r["id"] == reading_id)
        whole = {"xmin": 0, "ymin": 0, "xmax": record["image_size_x"], "ymax": record["image_size_y"]}
        row = {
            "timestamp_start_fixation": f"{start:.3f}",
            "timestamp_end_fixation": end if isinstance(end, str) else f"{end:.3f}",
            "x_position": x,
            "y_position": y,
            "angular_resolution_x_pixels_per_degree": 20.0,
            "angular_resolution_y_pixels_per_degree": 21.0,
            **{f"{edge}_shown_from_image": value for edge, value in whole.items()},
        }
        self.fixations[reading_id].append(row | columns)

    def draw(self, reading_id: str, corners: tuple, certainty: object, *labels: str):
        """Add an ellipse."""
        row = dict(zip(CORNERS, corners, strict=True)) | {"certainty": certainty} | dict.fromkeys(labels, True)
        self.ellipses[reading_id].append(row)

    def write(self) -> Path:
        """Write the tables."""
        main = self.root / self.main
        for phase, rows in self.records.items():
            if rows:
                _write(main / f"metadata_phase_{phase}.csv", [*FIXED, *LABELS[phase]], rows)
            for record in rows:
                folder = main / record["id"]
                if record["id"] in self.fixations:
                    _write(folder / "fixations.csv", FIXATION, self.fixations[record["id"]])
                    names = ["word", "timestamp_start_word", "timestamp_end_word"]
                    words = [dict(zip(names, word, strict=True)) for word in self.words[record["id"]]]
                    _write(folder / "timestamps_transcription.csv", names, words)
                chest = dict(zip(CORNERS, self.chests[record["id"]], strict=True))
                _write(folder / "chest_bounding_box.csv", CORNERS, [chest])
                columns = [*CORNERS, "certainty", *LABELS[phase]]
                found = [dict.fromkeys(LABELS[phase], False) | row for row in self.ellipses[record["id"]]]
                _write(folder / "anomaly_location_ellipses.csv", columns, found)
        return self.root


def _write(path: Path, columns: list[str], rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as opened:
        writer = csv.writer(opened, lineterminator="\r\n")
        writer.writerows([columns, *([row.get(column, "") for column in columns] for row in rows)])
