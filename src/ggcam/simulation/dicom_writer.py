"""Writes an image as DICOM, at its path in MIMIC-CXR."""

from __future__ import annotations

import hashlib
import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator

from ggcam.simulation.plan import CasePlan

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset
    from pydicom.uid import UID

MONOCHROME1_PROB = 0.05
"""Probability that an image is stored inverted."""


def write_dicom(root: Path, plan: CasePlan, pixels: np.ndarray, rng: Generator) -> None:
    """Write an image as a DICOM file, with a window around its grey values.

    Args:
        root: folder of the data set.
        plan: the case's ids and path.
        pixels: 12-bit image, uint16 of shape (height, width).
        rng: random generator of the case.
    """
    path = root / plan.path
    path.parent.mkdir(parents=True)
    low, high = np.quantile(pixels[::4, ::4], [0.01, 0.995])
    centre, width = round((low + high) / 2), round(1.1 * (high - low))
    inverted = rng.random() < MONOCHROME1_PROB
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
    buffer = io.BytesIO()  # pydicom would turn an error of the disk into one of its own
    dataset.save_as(buffer, enforce_file_format=True)
    path.write_bytes(buffer.getbuffer())


def _uid(*parts: object) -> UID:
    from pydicom.uid import UID

    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return UID(f"2.25.{int.from_bytes(digest[:15], 'big')}")


@cache
def _template(height_px: int, width_px: int) -> FileDataset:
    """Make a data set with the elements that all images share; cached, because making one is slow."""
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
