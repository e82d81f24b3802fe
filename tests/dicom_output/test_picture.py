"""The picture of a Secondary Capture: what it shows, in true shape, without anything about the patient."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from dicom_output.predicted import make_subject, source_dataset, write_source
from ggcam.dicom_output import picture
from ggcam.dicom_output.objects import dicom_objects
from ggcam.dicom_output.options import RESEARCH_USE, DicomOptions
from ggcam.dicom_output.picture import PANEL_SIDE_PX, draw_picture, panel_size


@pytest.mark.parametrize(
    ("attributes", "shape"),
    [
        ({}, (60, 48)),
        ({"ImagerPixelSpacing": [0.4, 0.2]}, (120, 48)),
        ({"ImagerPixelSpacing": None, "PixelAspectRatio": [1, 2]}, (60, 96)),
        ({"PixelSpacing": [0.1, 0.1], "ImagerPixelSpacing": [0.4, 0.2]}, (60, 48)),  # the calibrated one counts
    ],
)
def test_panels_have_the_true_shape_of_the_image(tmp_path, attributes, shape):
    path = write_source(tmp_path / "source.dcm", source_dataset(**attributes))
    width, height = panel_size(make_subject(path))
    assert max(width, height) == PANEL_SIDE_PX
    assert width / height == pytest.approx(shape[1] / shape[0], rel=0.01)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Texts that are drawn, in order."""
    texts: list[str] = []

    def write(draw, at, text, width, colour, size=20):
        texts.append(text)

    monkeypatch.setattr(picture, "_write", write)
    return texts


def test_the_words_are_about_the_result_and_not_about_the_patient(tmp_path, written):
    path = write_source(tmp_path / "Doe.dcm", source_dataset())
    draw_picture(make_subject(path, unusual={"inverted": "x"}))
    assert written[0] == RESEARCH_USE
    words = " | ".join(written)
    assert "Class activation: pneumonia" in words
    assert "0.688  at or above the threshold 0.250" in words
    assert "0.250  below the threshold 0.500" in words
    assert "Unlike the training images: inverted" in words
    assert not any(secret in words for secret in ("Doe", "P-17", "2020", "A1"))


def test_of_many_classes_the_most_probable_are_listed(tmp_path, written):
    path = write_source(tmp_path / "source.dcm", source_dataset())
    draw_picture(make_subject(path, probabilities={f"class {number}": number / 20 for number in range(20)}))
    listed = [text for text in written if text.startswith("class ")]
    assert listed == [f"class {number}" for number in range(19, 11, -1)]
    assert "and 12 less probable classes" in written


def test_the_left_panel_is_the_image_and_the_right_one_has_the_colours_of_the_cam(tmp_path):
    path = write_source(tmp_path / "source.dcm", source_dataset())
    subject = make_subject(path)
    drawn = draw_picture(subject)
    width, height = panel_size(subject)
    left = drawn[114 : 114 + height, 24 : 24 + width].astype(int)
    right = drawn[114 : 114 + height, 48 + width : 48 + 2 * width].astype(int)
    assert (np.ptp(left, axis=2) == 0).all()
    grey = cv2.resize(subject.result.overlay("pneumonia"), (width, height), interpolation=cv2.INTER_CUBIC)
    ring = np.abs(right - grey).max(axis=2) > 0
    assert 0 < ring.mean() < 0.01  # the ring around the maximum


def test_any_class_name_fits_its_line(tmp_path):
    narrow = np.random.default_rng(0).integers(0, 4096, (200, 20))
    path = write_source(tmp_path / "source.dcm", source_dataset(narrow))
    names = {"Ω" * 200: 0.5, "a\nb\x1b": 0.3, "心不全": 0.2}
    drawn = draw_picture(make_subject(path, probabilities=names))
    assert (drawn[:, -24:] == (16, 16, 16)).all()  # nothing runs into the margin
    assert Image.fromarray(drawn).size[0] < 2 * PANEL_SIDE_PX + 300


def test_a_secondary_capture_says_that_it_has_text_in_its_pixels(tmp_path):
    path = write_source(tmp_path / "source.dcm", source_dataset())
    made = dicom_objects(make_subject(path, options=DicomOptions(("sc",))))["sc"]
    assert (made.BurnedInAnnotation, made.ConversionType) == ("YES", "WSD")
    assert (made.PhotometricInterpretation, made.SamplesPerPixel) == ("RGB", 3)
    np.testing.assert_array_equal(made.pixel_array, draw_picture(make_subject(path)))
