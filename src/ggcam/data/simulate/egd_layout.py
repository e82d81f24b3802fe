"""Writes cases in the raw layout of EGD-CXR 1.0.0, as it comes from its publisher."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.random import Generator

from ggcam.data.simulate import columns
from ggcam.data.simulate.anatomy import Chest
from ggcam.data.simulate.plan import CasePlan

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset
    from pydicom.uid import UID

MONOCHROME1_SHARE = 0.05
_PNG_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]
"""Six times as fast as OpenCV's own, and no larger."""
_TRANSCRIPTS = "audio_segmentation_transcripts"
_COLUMNS = {
    "master_sheet.csv": columns.MASTER,
    "bounding_boxes.csv": columns.BOUNDING_BOXES,
    "findings.csv": columns.FINDINGS,
    "split.csv": columns.SPLIT,
}


@dataclass
class Tables:
    """Rows for the tables in the root, a case's or many cases'.

    Attributes:
        rows: file name -> records.
        fixations: lines of fixations.csv, ready made.
    """

    rows: Mapping[str, list[list[Any]]] = field(default_factory=lambda: {name: [] for name in _COLUMNS})
    fixations: list[str] = field(default_factory=list)


def write_tables(root: Path, parts: Iterable[Tables]) -> None:
    """Write the tables of all cases, in the given order."""
    parts = list(parts)
    for name, header in _COLUMNS.items():
        with (root / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            for part in parts:
                writer.writerows(part.rows[name])
    with (root / "fixations.csv").open("w", newline="", encoding="utf-8") as file:
        file.write(",".join(columns.FIXATIONS) + "\n")
        for part in parts:
            file.writelines(part.fixations)


def write_masks(root: Path, plan: CasePlan, chest: Chest, transcript: Mapping[str, Any]) -> None:
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


def write_dicom(root: Path, plan: CasePlan, pixels: np.ndarray, rng: Generator) -> None:
    """Write a 12-bit image, uint16, with a window around its own grey values; one in twenty is inverted."""
    path = root / plan.path
    path.parent.mkdir(parents=True)
    low, high = np.quantile(pixels[::4, ::4], [0.01, 0.995])
    centre, width = round((low + high) / 2), round(1.1 * (high - low))
    inverted = rng.random() < MONOCHROME1_SHARE
    if inverted:
        pixels, centre = 4095 - pixels, 4095 - centre
    dataset = _template(*pixels.shape)
    dataset.PatientID = str(plan.patient_id)
    dataset.StudyID = str(plan.study_id)
    dataset.StudyInstanceUID = _uid("study", plan.study_id)
    dataset.SeriesInstanceUID = _uid("series", plan.dicom_id)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = _uid("image", plan.dicom_id)
    dataset.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    dataset.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    dataset.ViewPosition = ("PA", "AP")[rng.integers(2)]
    dataset.WindowCenter, dataset.WindowWidth = centre, width
    dataset.PixelData = pixels.astype("<u2").tobytes()
    dataset.save_as(path, enforce_file_format=True)


def _uid(*parts: object) -> UID:
    from pydicom.uid import UID

    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return UID(f"2.25.{int.from_bytes(digest[:15], 'big')}")


@cache
def _template(height_px: int, width_px: int) -> FileDataset:
    """A data set with all that is the same in every image; making one costs more than filling it in."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.Modality = "DX"
    dataset.BodyPartExamined = "CHEST"
    dataset.Manufacturer = "ggcam simulator"
    dataset.Rows, dataset.Columns = height_px, width_px
    dataset.SamplesPerPixel = 1
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"
    dataset.PixelIntensityRelationship = "LOG"
    return dataset


def table_parts(records: Mapping[str, Sequence[list[Any]]], fixations: str) -> Tables:
    """The rows of one case."""
    return Tables({name: list(records[name]) for name in _COLUMNS}, [fixations])
