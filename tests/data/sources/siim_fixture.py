"""A writer of the layout of SIIM-ACR with gaze as JSON or pickle, with invented ids and numbers."""

import json
import pickle
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data.dicom_fixture import write_dicom


def encode(mask: np.ndarray) -> str:
    """Runs of a mask, pixel by pixel down the columns; each start from the end of the run before."""
    runs, level, length = [], False, 0
    for pixel in mask.T.ravel().tolist():
        if bool(pixel) != level:
            runs.append(length)
            level, length = not level, 0
        length += 1
    if level:
        runs.append(length)
    return " ".join(map(str, runs))


@dataclass
class Siim:
    """Rows to write; a test may change any of them first."""

    root: Path
    rows: list[tuple[str, str]] = field(default_factory=list)
    gaze: dict[str, list] = field(default_factory=dict)

    def case(self, image: np.ndarray, *lesions: np.ndarray, clusters: list | None = None) -> str:
        """Add an image with its lesions, and gaze if there is a list of (first, second, samples)."""
        number = len(self.gaze) + len({image_id for image_id, _ in self.rows})
        study, series, image_id = (f"9.9.999.0.{part}.{1000 + number}" for part in (1, 2, 3))
        folder = self.root / "dicom-images-train" / study / series
        folder.mkdir(parents=True)
        write_dicom(folder / f"{image_id}.dcm", image, bits=8)
        self.rows += [(image_id, encode(lesion)) for lesion in lesions] or [(image_id, " -1")]
        if clusters is not None:
            self.gaze[f"{study}/{series}/{image_id}.dcm"] = clusters
        return image_id

    def write(self, form: str = "json") -> Path:
        """Write the tables."""
        lines = ["ImageId, EncodedPixels", *(f"{image_id},{runs}" for image_id, runs in self.rows)]
        (self.root / "train-rle.csv").write_text("\n".join(lines) + "\n")
        if form == "pickle":
            (self.root / "cxr_p_gaze_data.pkl").write_bytes(pickle.dumps(self.gaze))
        else:
            entries = [
                {"image_id": Path(key).stem, **dict(zip(("gaze_x", "gaze_y", "time"), columns, strict=True))}
                for key, clusters in self.gaze.items()
                for columns in [[list(each) for each in zip(*clusters, strict=True)] or [[], [], []]]
            ]
            (self.root / "gaze.json").write_text(json.dumps(entries))
        return self.root
