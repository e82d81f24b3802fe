"""Predictions of DICOM files with any CAM, as DICOM objects describe them, without a network."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import UID

from data.dicom_fixture import make_dicom
from ggcam.data.case import Frame
from ggcam.data.framing import Fitted, Framing
from ggcam.dicom_output.model_identity import ModelIdentity
from ggcam.dicom_output.options import KINDS, DicomOptions
from ggcam.dicom_output.source import read_source
from ggcam.dicom_output.subject import Subject
from ggcam.inference.image_input import load_image
from ggcam.inference.result import PredictionResult

SIZE = (60, 48)
PROBABILITIES = {"Normal": 0.25, "Herzinsuffizienz": 0.0625, "pneumonia": 0.6875}
MODEL = ModelIdentity("EffCAMNet test", "ab" * 32, 120, (1.5,) * 3, {"Normal": 0.5, "pneumonia": 0.25}, "1.2.3")
STUDY = {
    "PatientID": "P-17",
    "PatientName": "Doe^Jane",
    "PatientBirthDate": "19700102",
    "PatientSex": "F",
    "PatientAge": "050Y",
    "StudyInstanceUID": "1.3.6.1.4.1.77.1",
    "SeriesInstanceUID": "1.3.6.1.4.1.77.1.1",
    "SOPInstanceUID": "1.3.6.1.4.1.77.1.1.1",
    "StudyDate": "20200304",
    "StudyTime": "101112",
    "StudyID": "S1",
    "StudyDescription": "Chest PA",
    "AccessionNumber": "A1",
    "ReferringPhysicianName": "Roe^Richard",
    "Modality": "DX",
    "BodyPartExamined": "CHEST",
    "PatientOrientation": ["L", "F"],
    "ImagerPixelSpacing": [0.2, 0.2],
    "InstanceNumber": 3,
}

NO_STUDY = dict.fromkeys(STUDY)


def source_dataset(pixels: np.ndarray | None = None, bits: int = 12, **attributes: Any) -> FileDataset:
    """Make an image with a complete study; attributes of None are removed."""
    values = (np.random.default_rng(0).integers(0, 2**bits, SIZE)) if pixels is None else pixels
    wanted = {**STUDY, **attributes}
    dataset = make_dicom(
        values.astype(np.uint16), bits, **{name: value for name, value in wanted.items() if value is not None}
    )
    if wanted["SOPInstanceUID"] is None:
        del dataset.SOPInstanceUID
    else:
        dataset.file_meta.MediaStorageSOPInstanceUID = UID(dataset.SOPInstanceUID)
    return dataset


def write_source(path: Path, dataset: FileDataset) -> Path:
    dataset.save_as(path, enforce_file_format="SOPInstanceUID" in dataset)
    return path


def predict_file(path: Path, framing: Framing | None = None, seed: int = 0, **changes: Any) -> PredictionResult:
    """Return a prediction whose CAMs are noise."""
    loaded = load_image(path, framing or Fitted(Frame(64, 64)))
    random = np.random.default_rng(seed)
    values: dict[str, Any] = {
        "image": path,
        "image_size": loaded.image_size,
        "probabilities": PROBABILITIES,
        "framing": loaded.framing,
        "shown": loaded.shown,
        "unusual": {},
        **changes,
    }
    grids = {name: random.normal(size=(8, 8)).astype(np.float32) for name in values["probabilities"]}
    return PredictionResult(**{"cam_grid": grids, **values})


def make_subject(
    path: Path, framing: Framing | None = None, model: ModelIdentity = MODEL, map_bits: Any = 32, **changes: Any
) -> Subject:
    """Return a predicted file, of which every kind of object is wanted."""
    options = changes.pop("options", DicomOptions(KINDS, map_bits))
    return Subject(read_source(path).reference, predict_file(path, framing, **changes), model, options)


def of_class(uid: str, **attributes: object) -> FileDataset:
    dataset = source_dataset(SOPClassUID=uid, **attributes)
    dataset.file_meta.MediaStorageSOPClassUID = uid
    return dataset


class Case(NamedTuple):
    """A source image, its prediction, its objects as they are read from their files, and its map of 16 bits."""

    source: Path
    subject: Subject
    objects: dict[str, Dataset]
    small_map: Dataset


def saved(made: dict[str, Dataset]) -> dict[str, Dataset]:
    """Return objects as they are read from their files."""
    read: dict[str, Dataset] = {}
    for kind, dataset in made.items():
        buffer = BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        read[kind] = pydicom.dcmread(BytesIO(buffer.getvalue()))
    return read
