"""Kinds of source images, and their objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import ComputedRadiographyImageStorage, JPEG2000Lossless, SecondaryCaptureImageStorage

from data.dicom_fixture import lut
from dicom_output.predicted import NO_STUDY, SIZE, Case, make_subject, of_class, saved, source_dataset, write_source
from ggcam.dicom_output.objects import dicom_objects
from ggcam.dicom_output.options import DicomOptions

RANDOM = np.random.default_rng(1)
EIGHT_BIT = RANDOM.integers(0, 256, SIZE)


def _j2k() -> FileDataset:
    dataset = source_dataset()
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    return dataset


def _colour() -> FileDataset:
    dataset = source_dataset(EIGHT_BIT, bits=8, PhotometricInterpretation="RGB", SamplesPerPixel=3)
    dataset.PlanarConfiguration = 0
    dataset.PixelData = RANDOM.integers(0, 256, (*SIZE, 3), dtype=np.uint8).tobytes()
    return dataset


SOURCES: dict[str, Callable[[], FileDataset]] = {
    "monochrome2": source_dataset,
    "monochrome1": lambda: source_dataset(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE"),
    "eight bits": lambda: source_dataset(EIGHT_BIT, bits=8),
    "sixteen bits": lambda: source_dataset(bits=16, VOILUTSequence=[lut(1000, 12, list(range(0, 4096, 2)))]),
    "JPEG 2000": _j2k,
    "tall pixels": lambda: source_dataset(ImagerPixelSpacing=[0.4, 0.2]),
    "pixel spacing": lambda: source_dataset(PixelSpacing=[0.19, 0.19], FrameOfReferenceUID="1.2.840.5"),
    "colour": _colour,
    "computed radiography": lambda: of_class(ComputedRadiographyImageStorage, Modality="CR"),
    "old secondary capture": lambda: of_class(SecondaryCaptureImageStorage, **{**NO_STUDY, "SOPInstanceUID": "1.2.3"}),
    "unicode name": lambda: source_dataset(SpecificCharacterSet="ISO_IR 192", PatientName="Škvorecký^Jürgen=山田^太郎"),
    "no study": lambda: source_dataset(**NO_STUDY),
    "invalid sex": lambda: source_dataset(PatientSex="W"),
}


@pytest.fixture(scope="session", params=SOURCES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    path = write_source(tmp_path_factory.mktemp("source") / "source.dcm", SOURCES[request.param]())
    subject = make_subject(path)
    small = replace(subject, options=DicomOptions(("pm",), map_bits=16))
    return Case(path, subject, saved(dicom_objects(subject)), saved(dicom_objects(small))["pm"])


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return write_source(tmp_path / "source.dcm", source_dataset())
