"""The view of an X-ray, from DICOM headers and tables."""

from __future__ import annotations

import numpy as np
import pytest

from data.dicom_fixture import write_dicom
from ggcam.data.png import write_png
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare
from ggcam.data.view_position import known_view, read_view

PIXELS = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)


@pytest.mark.parametrize(
    ("words", "view"),
    [(["PA"], "PA"), (["portable", " ll "], "LL"), (["few grey levels"], None), ([], None), ([""], None)],
)
def test_a_view_is_found_among_other_words(words, view):
    assert known_view(words) == view


def test_the_header_of_a_dicom_file_names_its_view(tmp_path):
    assert read_view(write_dicom(tmp_path / "lateral.dcm", PIXELS, ViewPosition="LL")) == "LL"
    assert read_view(write_dicom(tmp_path / "odd.dcm", PIXELS, ViewPosition="SOMETHING")) is None
    assert read_view(write_dicom(tmp_path / "silent.dcm", PIXELS)) is None


def test_other_and_damaged_files_have_no_view(tmp_path):
    write_png(tmp_path / "image.png", PIXELS)
    dicom = write_dicom(tmp_path / "whole.dcm", PIXELS, ViewPosition="PA").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(dicom[:150])
    for name in ("image.png", "cut.dcm", "missing.dcm"):
        assert read_view(tmp_path / name) is None


def test_prepared_cases_keep_the_view_of_a_header_or_a_table(tmp_path):
    rows = ["image,label,view"]
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 4095, (64, 64)).astype(np.uint16)
        view = {"ViewPosition": "AP"} if number % 3 == 0 else {}
        write_dicom(tmp_path / f"{number}.dcm", pixels, **view)
        rows.append(f"{number}.dcm,{'ab'[number % 2]},{'pa' if number % 3 == 1 else ''}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    data = prepare(tmp_path, tmp_path / "out", PrepareConfig(size="32x32", workers=1))
    flags = data.cases.set_index("case_id")["flags"]
    expected = {0: "AP", 1: "PA", 2: None}
    assert {case_id: known_view(each.split(";")) for case_id, each in flags.items()} == {
        str(number): expected[number % 3] for number in range(12)
    }
