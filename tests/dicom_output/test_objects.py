"""The DICOM objects of predictions, read back: values, references, patient and study, for every kind of image."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import highdicom as hd
import numpy as np
import pytest
from highdicom.sr import srread
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from data.dicom_fixture import lut
from dicom_output.predicted import (
    MODEL,
    PROBABILITIES,
    SIZE,
    make_subject,
    of_class,
    saved,
    source_dataset,
    write_source,
)
from ggcam.data.case import Frame
from ggcam.data.framing import Strided
from ggcam.dicom_output.model_identity import ModelIdentity
from ggcam.dicom_output.objects import dicom_objects
from ggcam.dicom_output.options import KINDS, RESEARCH_USE, DicomOptions
from ggcam.dicom_output.source import read_source
from ggcam.dicom_output.structured_report import DECISION, NEGATIVE, NOT_ASSESSED, NOT_UNUSUAL, POSITIVE, UNUSUAL
from ggcam.dicom_output.subject import Subject
from ggcam.errors import ImageError


def check_map(subject: Subject, dataset: Dataset, tolerance: float) -> None:
    """Check every frame of a map against the CAM of its class; where the network saw nothing, it has the padding."""
    read = hd.pm.ParametricMap.from_dataset(dataset)
    padding = dataset.get("FloatPixelPaddingValue", dataset.get("PixelPaddingValue"))
    for number, name in enumerate(subject.class_names, 1):
        values = read.get_frames([number], apply_palette_color_lut=False, apply_icc_profile=False)[0]
        stored = dataset.pixel_array[number - 1]
        expected = subject.result.cam[name]
        unseen = np.isnan(expected)
        np.testing.assert_allclose(values[~unseen], expected[~unseen], atol=tolerance)
        frame = dataset.PerFrameFunctionalGroupsSequence[number - 1]
        assert frame.RealWorldValueMappingSequence[0].LUTExplanation == frame.FrameContentSequence[0].FrameLabel == name
        assert (padding is None) == (not unseen.any())
        if padding is not None:
            assert (stored[unseen] == padding).all()
            assert (stored[~unseen] > padding).all()


@pytest.mark.parametrize("bits", [32, 16])
def test_the_map_has_the_values_of_the_cam_for_every_kind_of_image(case, bits):
    subject, dataset = case.subject, case.objects["pm"] if bits == 32 else case.small_map
    assert (dataset.Rows, dataset.Columns, dataset.NumberOfFrames) == (*SIZE, 3)
    low, high = subject.cam_range
    check_map(subject, dataset, 1e-6 if bits == 32 else (high - low) / 65535)
    mapping = dataset.PerFrameFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeValue == "130402"
    assert ("FloatPixelData" in dataset, dataset.BitsAllocated) == (bits == 32, bits)
    assert ("RedPaletteColorLookupTableData" in dataset) == (bits == 16)
    window = dataset.SharedFunctionalGroupsSequence[0].FrameVOILUTSequence[0]
    ends = [window.WindowCenter + side * window.WindowWidth / 2 for side in (-1, 1)]
    np.testing.assert_allclose(ends, (low, high) if bits == 32 else (0, 65535), rtol=1e-5)


def test_the_map_of_pixels_that_are_not_square_says_so(tmp_path):
    for number, (attributes, expected) in enumerate(
        (
            ({"ImagerPixelSpacing": [0.4, 0.2]}, [400, 200]),
            ({"ImagerPixelSpacing": None, "PixelAspectRatio": [2, 1]}, [2, 1]),
            ({"ImagerPixelSpacing": [0.2, 0.2]}, None),
        )
    ):
        path = write_source(tmp_path / f"{number}.dcm", source_dataset(**attributes))
        made = dicom_objects(make_subject(path, options=DicomOptions(("pm",))))["pm"]
        assert made.get("PixelAspectRatio") == expected


@pytest.mark.parametrize("bits", [32, 16])
def test_margins_outside_of_a_cropped_frame_are_padding(tmp_path, bits):
    wide = np.random.default_rng(0).integers(0, 4096, (64, 160))
    path = write_source(tmp_path / "wide.dcm", source_dataset(wide))
    subject = make_subject(path, Strided(Frame(32, 32)), map_bits=bits)
    assert 0 < subject.unseen.mean() < 1
    read = saved(dicom_objects(subject))
    low, high = subject.cam_range
    check_map(subject, read["pm"], 1e-6 if bits == 32 else (high - low) / 65535)
    fractional = hd.seg.Segmentation.from_dataset(read["seg"]).pixel_array
    assert not fractional[:, subject.unseen].any()
    x, y = _points(read["sr"])["pneumonia"]
    assert not subject.unseen[int(y), int(x)]


def test_a_constant_cam_has_no_peak_and_an_empty_segment(plain):
    flat = {name: np.full((8, 8), 2.5, np.float32) for name in PROBABILITIES}
    for bits in (32, 16):
        subject = make_subject(plain, map_bits=bits, cam_grid=flat)
        read = saved(dicom_objects(subject))
        check_map(subject, read["pm"], 1e-6)
        assert _points(read["sr"]) == {}
        assert not hd.seg.Segmentation.from_dataset(read["seg"]).pixel_array.any()


def test_all_objects_belong_to_the_patient_and_study_of_the_image(case):
    original, read = case.subject.reference, case.objects
    assert tuple(read) == KINDS
    for kind, dataset in read.items():
        assert dataset.StudyInstanceUID == original.StudyInstanceUID
        assert dataset.SeriesInstanceUID != original.SeriesInstanceUID
        for name in ("PatientID", "PatientName", "StudyDate", "StudyID", "AccessionNumber", "PatientAge"):
            assert (dataset.get(name) or None) == (original.get(name) or None), (kind, name)
        assert dataset.SpecificCharacterSet == "ISO_IR 192"
        assert dataset.ContentQualification == "RESEARCH"
        assert "research use" in dataset.SeriesDescription
        assert original.SOPInstanceUID in str(dataset) or kind == "sc"
    assert len({dataset.SeriesInstanceUID for dataset in read.values()}) == len(KINDS)


def test_names_in_other_alphabets_survive(tmp_path):
    for alphabet, name in (("ISO_IR 192", "Škvorecký^Jürgen=山田^太郎"), ("ISO_IR 100", "Müller^Zoë")):
        path = tmp_path / "named.dcm"
        write_source(path, source_dataset(SpecificCharacterSet=alphabet, PatientName=name))
        for dataset in saved(dicom_objects(make_subject(path, options=DicomOptions(("sr", "seg"))))).values():
            assert str(dataset.PatientName) == name


def _groups(report: Dataset) -> list:
    content = srread_dataset(report).content
    return [*content.get_planar_roi_measurement_groups(), *content.get_image_measurement_groups()]


def srread_dataset(report: Dataset) -> hd.sr.Comprehensive3DSR:
    buffer = BytesIO()
    report.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    read = srread(buffer)
    assert isinstance(read, hd.sr.Comprehensive3DSR)
    return read


def _points(report: Dataset) -> dict[str, tuple[float, float]]:
    groups = srread_dataset(report).content.get_planar_roi_measurement_groups()
    return {group.tracking_identifier: tuple(group.roi.value[0]) for group in groups}


def test_the_report_has_probabilities_thresholds_decisions_and_peaks(case):
    subject, made = case.subject, case.objects
    groups = {group.tracking_identifier: group for group in _groups(made["sr"])}
    points = _points(made["sr"])
    assert set(groups) == {"image", *PROBABILITIES}
    for name, probability in PROBABILITIES.items():
        values = {measurement.name.meaning: measurement for measurement in groups[name].get_measurements()}
        assert values["Probability"].value == pytest.approx(probability, abs=1e-6)
        cam = subject.result.cam[name]
        assert values["Class activation"].value == pytest.approx(float(cam.max()), abs=1e-6)
        (referenced,) = values["Class activation"].referenced_images
        assert referenced.referenced_sop_instance_uid == made["pm"].SOPInstanceUID
        decisions = [each.value for each in groups[name].get_qualitative_evaluations(DECISION)]
        threshold = MODEL.thresholds.get(name)
        assert ("Threshold Value" in values) == (threshold is not None)
        if threshold is not None:
            assert values["Threshold Value"].value == pytest.approx(threshold, abs=1e-6)
        expected = {"Normal": [NEGATIVE], "pneumonia": [POSITIVE]}.get(name, [])
        assert decisions == expected
        x, y = points[name]
        assert (x % 1, y % 1) == (0.5, 0.5)
        assert cam[int(y), int(x)] == cam.max()


def test_the_report_identifies_the_network(plain):
    report = dicom_objects(make_subject(plain, options=DicomOptions(("sr",))))["sr"]
    texts = [str(element.value) for element in report.iterall() if element.VR != "SQ"]
    for expected in (MODEL.weights_sha256, "EffCAMNet test", "1.2.3", "temperature: 1.5", RESEARCH_USE):
        assert any(expected in text for text in texts)


@pytest.mark.parametrize(
    ("unusual", "expected"),
    [
        (None, [NOT_ASSESSED.meaning]),
        ({}, [NOT_UNUSUAL.meaning]),
        ({"inverted": "x", "brightness": "y"}, ["inverted: correlation with", "brightness: median grey level"]),
    ],
)
def test_the_report_says_by_what_the_image_is_unlike_the_training_images(plain, unusual, expected):
    report = dicom_objects(make_subject(plain, unusual=unusual, options=DicomOptions(("sr",))))["sr"]
    (image,) = [group for group in _groups(report) if group.tracking_identifier == "image"]
    found = [each.value.meaning for each in image.get_qualitative_evaluations(UNUSUAL)]
    assert len(found) == len(expected)
    assert all(meaning.startswith(start) for meaning, start in zip(found, expected, strict=True))


def test_probabilities_of_several_labels_need_not_sum_to_one(plain):
    several = {"left": 0.9, "right": 0.8, "low \\ wide " + 80 * "x": 0.7}
    subject = make_subject(plain, probabilities=several)
    made = saved(dicom_objects(subject))
    read = {
        group.tracking_identifier: group.get_measurements(codes.DCM.Probability)[0].value
        for group in _groups(made["sr"])
        if group.tracking_identifier != "image"
    }
    assert read == pytest.approx(several, abs=1e-6)
    label = made["pm"].PerFrameFunctionalGroupsSequence[2].RealWorldValueMappingSequence[0]
    assert len(label.LUTLabel) <= 16
    assert len(label.LUTExplanation) == 64


def test_the_segmentation_has_the_scaled_cam_or_a_mask(plain):
    subject = make_subject(plain)
    fractional = hd.seg.Segmentation.from_dataset(
        saved(dicom_objects(replace(subject, options=DicomOptions(("seg",)))))["seg"]
    )
    assert fractional.segmentation_type.value == "FRACTIONAL"
    for number, name in enumerate(PROBABILITIES):
        cam = subject.result.cam[name]
        unit = (cam - cam.min()) / (cam.max() - cam.min())
        np.testing.assert_allclose(fractional.pixel_array[number] / 255, unit, atol=1 / 255)
    options = DicomOptions(("seg",), mask_threshold=0.5)
    mask = hd.seg.Segmentation.from_dataset(saved(dicom_objects(make_subject(plain, options=options)))["seg"])
    np.testing.assert_array_equal(mask.pixel_array[2], subject.unit_cam("pneumonia") >= 0.5)


def test_the_presentation_state_blends_the_map_of_the_predicted_class(case):
    made, reference = case.objects, case.subject.reference
    image, class_map = made["pr"].AdvancedBlendingSequence
    assert image.ReferencedImageSequence[0].ReferencedSOPInstanceUID == reference.SOPInstanceUID
    referenced = class_map.ReferencedImageSequence[0]
    assert (referenced.ReferencedSOPInstanceUID, referenced.ReferencedFrameNumber) == (made["pm"].SOPInstanceUID, 3)
    photometric = reference.PhotometricInterpretation
    if photometric == "RGB":
        assert "PaletteColorLookupTableSequence" not in image
    else:
        palette = image.PaletteColorLookupTableSequence[0]
        greys = np.frombuffer(palette.RedPaletteColorLookupTableData, "<u2")
        assert (greys[0] > greys[-1]) == (photometric == "MONOCHROME1")


def test_the_presentation_state_keeps_the_lut_of_the_image(tmp_path):
    entries = list(range(0, 4096, 2))
    for number, items in enumerate(([Dataset(), lut(1000, 12, entries)], [Dataset()])):
        attributes = {"VOILUTSequence": items, "WindowCenter": 2000, "WindowWidth": 500}
        path = write_source(tmp_path / f"{number}.dcm", source_dataset(**attributes))
        made = saved(dicom_objects(make_subject(path, options=DicomOptions(("pm", "pr")))))["pr"]
        window = made.AdvancedBlendingSequence[0].SoftcopyVOILUTSequence[0]
        if len(items) == 1:  # no usable table
            assert (window.WindowCenter, window.WindowWidth) == (2000, 500)
            continue
        (table,) = window.VOILUTSequence
        assert table.LUTDescriptor == [len(entries), 1000, 16]
        white = np.frombuffer(table.LUTData, "<u2")
        np.testing.assert_allclose(white / 65535, np.array(entries) / max(entries), atol=1e-4)


def test_the_same_input_gives_the_same_uids_and_another_network_others(plain):
    def uids(model: ModelIdentity = MODEL) -> set[str]:
        made = dicom_objects(make_subject(plain, model=model, options=DicomOptions(("pm", "sr", "seg"))))
        return {uid for dataset in made.values() for uid in (dataset.SOPInstanceUID, dataset.SeriesInstanceUID)}

    first = uids()
    assert len(first) == 6
    assert uids() == first
    assert not uids(replace(MODEL, weights_sha256="cd" * 32)) & first


def test_a_class_that_is_no_image_is_an_error(tmp_path):
    path = write_source(tmp_path / "report.dcm", of_class("1.2.840.10008.5.1.4.1.1.88.34"))
    with pytest.raises(ImageError, match="not a kind of image"):
        read_source(path)
