from __future__ import annotations

from datetime import date

import pytest

from dicom_output.predicted import make_subject, source_dataset, write_source
from ggcam.dicom_output.objects import dicom_objects
from ggcam.dicomweb.query import RESULT_MODALITIES, ImageQuery, parse_codes
from ggcam.errors import ConfigError


def test_one_request_for_each_modality_and_body_part():
    filters = list(ImageQuery(("CR", "DX"), ("CHEST", "THORAX*")).filters())
    assert filters == [
        {"Modality": modality, "BodyPartExamined": part} for modality in ("CR", "DX") for part in ("CHEST", "THORAX*")
    ]


def test_no_body_part_matches_images_without_one():
    assert list(ImageQuery(("DX",), ()).filters()) == [{"Modality": "DX"}]


def test_days_include_today():
    query = ImageQuery(("DX",), (), days=3)
    assert list(query.filters(today=date(2024, 3, 1))) == [{"Modality": "DX", "StudyDate": "20240228-"}]
    (only,) = ImageQuery(("DX",), (), days=1).filters(today=date(2024, 3, 1))
    assert only["StudyDate"] == "20240301-"


def test_codes_are_read_from_a_list():
    assert parse_codes(" dx,CR,,dx ") == ("DX", "CR")
    assert parse_codes("") == ()


@pytest.mark.parametrize("modality", sorted(RESULT_MODALITIES))
def test_results_are_never_queried(modality):
    with pytest.raises(ConfigError, match="would be predicted again"):
        ImageQuery(("CR", modality))


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"modalities": ()}, "no modality"),
        ({"modalities": ("D*",)}, "not a code"),
        ({"modalities": ("DX&limit=1",)}, "not a code"),
        ({"body_parts": ("chest",)}, "not a code"),
        ({"body_parts": ("X" * 17,)}, "not a code"),
        ({"days": 0}, "at least 1"),
    ],
)
def test_invalid_values_are_refused(values, word):
    with pytest.raises(ConfigError, match=word):
        ImageQuery(**values)


def test_the_modalities_of_results_are_those_that_are_written(tmp_path):
    subject = make_subject(write_source(tmp_path / "source.dcm", source_dataset()))
    assert {made.Modality for made in dicom_objects(subject).values()} == RESULT_MODALITIES
