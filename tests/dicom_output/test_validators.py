"""Validators of DICOM find no error in the objects of any kind of image."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from dicom_output.predicted import make_subject
from ggcam.dicom_output.objects import dicom_objects
from ggcam.dicom_output.options import DicomOptions

TOOL_LIMITS = (
    # dciodvfy of 2022 demands the position in space, for patients and for slides, of every map. Radiographs have none.
    *("PixelMeasuresMacro", "PlanePositionMacro", "PlaneOrientationMacro", "PlanePositionSlideMacro"),
    # It allows a palette in images of the photometric interpretation PALETTE COLOR alone, and reads numbers as text.
    *("PaletteColorLookupTable", "Stored Value Mappe"),
    # It does not know the attributes of Advanced Blending Presentation States, in which the references are.
    "ReferencedSeriesSequence present but Instance does not reference Instances",
)


def run_tool(*command: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace")
    return done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed (Debian: dicom3tools)")
def test_dciodvfy_finds_no_error(case, tmp_path):
    for kind, made in {**case.objects, "pm16": case.small_map}.items():
        made.save_as(tmp_path / f"{kind}.dcm", enforce_file_format=True)
        found = run_tool("dciodvfy", tmp_path / f"{kind}.dcm")
        errors = [line for line in found.splitlines() if line.startswith("Error")]
        assert [line for line in errors if not any(limit in line for limit in TOOL_LIMITS)] == [], kind


@pytest.mark.skipif(shutil.which("dsrdump") is None, reason="dsrdump is not installed (Debian: dcmtk)")
def test_dsrdump_reads_the_report(plain, tmp_path):
    dicom_objects(make_subject(plain, options=DicomOptions(("sr",))))["sr"].save_as(
        tmp_path / "sr.dcm", enforce_file_format=True
    )
    shown = run_tool("dsrdump", tmp_path / "sr.dcm")
    assert 'contains NUM:(,,"Probability")="0.6875" (1,UCUM,"no units")' in shown
    assert "POINT," in shown


def test_dicom_validator_finds_no_error(case, tmp_path):
    from dicom_validator.spec_reader.edition_reader import EditionReader
    from dicom_validator.validator.dicom_file_validator import DicomFileValidator

    reader = EditionReader()
    editions = sorted(path.parent.parent.name for path in reader.path.glob("*/json/version"))
    if not editions:
        pytest.skip(f"the DICOM standard is not in {reader.path}: the command validate_iods downloads it")
    validator = DicomFileValidator(reader.load_dicom_info(editions[-1]))
    for kind, made in case.objects.items():
        made.save_as(tmp_path / f"{kind}.dcm", enforce_file_format=True)
        (result,) = validator.validate(tmp_path / f"{kind}.dcm").values()
        assert result.errors == 0, (kind, result.module_errors)
