"""`ggcam predict --dicom-out`: the files, what is skipped and why, retries, and anonymisation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import onnx
import pandas as pd
import pydicom
import pytest
from highdicom.sr import srread

from commands.calling import call, refusal
from dicom_output.predicted import NO_STUDY, STUDY, source_dataset, write_source
from ggcam.data.find_images import DICOM_RESULT, find_images
from ggcam.dicom_output.model_identity import read_model_identity
from ggcam.inference import run_onnx
from ggcam.inference.onnx import PREFIX
from ggcam.training.run import open_run


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    write_source(folder / "a.dcm", source_dataset())
    write_source(folder / "b.dcm", source_dataset(SOPInstanceUID="1.3.6.1.4.1.77.1.1.2"))
    return folder


def read_table(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "dicom.csv", keep_default_na=False)


def test_predict_writes_the_default_kinds_with_the_values_of_its_table(trained, images, tmp_path, capsys):
    out, objects = tmp_path / "out", tmp_path / "objects"
    called = call(capsys, "predict", trained, images, "--out", out, "--dicom-out", objects)
    assert called.code == 0, called
    assert "6 DICOM objects" in called.out
    table = read_table(out)
    assert table["kind"].tolist() == ["pm", "sr", "sc"] * 2
    assert sorted(table["file"]) == sorted(path.name for path in objects.iterdir())
    assert not any(word in "".join(table["file"]) for word in ("Doe", "P-17", "a.dcm"))
    predictions = pd.read_csv(out / "predictions.csv").set_index("image")
    for row in table[table["kind"] == "sr"].itertuples():
        groups = srread(objects / str(row.file)).content.get_planar_roi_measurement_groups()
        for group in groups:
            found = group.get_measurements()[0].value
            assert found == pytest.approx(
                predictions.loc[row.image, f"probability_{group.tracking_identifier}"], abs=1e-6
            )
    identity = read_model_identity(trained)
    assert identity.thresholds
    (report,) = {pydicom.dcmread(objects / name).DeviceSerialNumber for name in table["file"]}
    assert report == identity.weights_sha256


def test_a_second_call_keeps_what_is_there(trained, images, tmp_path, capsys):
    command = ("predict", trained, images, "--out", tmp_path / "out", "--dicom-out", tmp_path / "objects")
    command = (*command, "--dicom-kinds", "sr", "--no-overlays")
    call(capsys, *command)
    before = {path: path.read_bytes() for path in (tmp_path / "objects").iterdir()}
    assert len(before) == 2
    called = call(capsys, *command)
    assert "0 DICOM objects" in called.out
    assert "2 were there already and are kept" in called.out
    assert {path: path.read_bytes() for path in (tmp_path / "objects").iterdir()} == before


def test_objects_in_a_folder_of_images_are_not_predicted(trained, images, tmp_path, capsys):
    call(capsys, "predict", trained, images, "--out", tmp_path / "out", "--dicom-out", images, "--dicom-kinds", "pm,sr")
    found = find_images(images)
    assert found.images == ("a.dcm", "b.dcm")
    assert len(found.skipped[DICOM_RESULT]) == 4


def test_an_image_without_a_study_is_predicted_and_listed(trained, images, tmp_path, capsys):
    cv2.imwrite(str(images / "c.png"), np.zeros((60, 48), np.uint8))
    out = tmp_path / "out"
    called = call(
        capsys, "predict", trained, images, "--out", out, "--dicom-out", tmp_path / "d", "--dicom-kinds", "sr"
    )
    assert called.code == 1
    assert "1 images have no DICOM objects" in called.err
    assert "belongs to no study" in called.err
    assert len(pd.read_csv(out / "predictions.csv")) == 3
    table = read_table(out)
    (skipped,) = table[table["error"] != ""].itertuples()
    assert (Path(str(skipped.image)).name, skipped.kind, skipped.file) == ("c.png", "", "")


def test_images_of_which_none_has_a_study_are_refused_before_they_are_predicted(trained, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "c.png"), np.zeros((60, 48), np.uint8))
    out = tmp_path / "out"
    message = refusal(capsys, "predict", trained, tmp_path / "c.png", "--out", out, "--dicom-out", tmp_path / "d")
    assert "none of the images is a DICOM file" in message
    assert "leave --dicom-out out" in message
    assert not out.exists()


def test_what_was_made_up_for_a_file_without_identifiers_is_named(trained, tmp_path, capsys, caplog):
    path = write_source(tmp_path / "bare.dcm", source_dataset(**NO_STUDY))
    out = tmp_path / "out"
    call(capsys, "predict", trained, path, "--out", out, "--dicom-out", tmp_path / "d", "--dicom-kinds", "sr")
    expected = "SOPInstanceUID SeriesInstanceUID StudyInstanceUID"
    assert read_table(out)["made_up"].tolist() == [expected]
    assert "made up for the DICOM results: SOPInstanceUID, SeriesInstanceUID" in caplog.text


def test_anonymised_objects_have_nothing_of_the_patient_and_still_belong_together(trained, images, tmp_path, capsys):
    objects = tmp_path / "d"
    kinds = ("--dicom-kinds", "pm,sr,sc,seg,pr", "--anonymise", "--no-overlays")
    call(capsys, "predict", trained, images, "--out", tmp_path / "out", "--dicom-out", objects, *kinds)
    files = sorted(objects.iterdir())
    assert len(files) == 10
    read = [pydicom.dcmread(path) for path in files]
    assert len({dataset.StudyInstanceUID for dataset in read}) == 1
    assert len({dataset.PatientID for dataset in read}) == 1
    assert all(dataset.PatientIdentityRemoved == "YES" for dataset in read)
    secrets = [str(value) for name, value in STUDY.items() if name not in TECHNICAL]
    for path in files:
        content = path.read_bytes()
        assert [secret for secret in secrets if len(secret) > 2 and secret.encode() in content] == []
    maps = {dataset.SOPInstanceUID for dataset in read if dataset.SOPClassUID.name == "Parametric Map Storage"}
    assert all(any(uid in str(dataset) for uid in maps) for dataset in read if dataset.Modality in ("SR", "PR"))


TECHNICAL = ("Modality", "BodyPartExamined", "PatientOrientation", "ImagerPixelSpacing", "InstanceNumber")


def test_burned_in_text_is_not_copied_into_anonymised_pictures(trained, tmp_path, capsys):
    path = write_source(tmp_path / "text.dcm", source_dataset(BurnedInAnnotation="YES"))
    command = ("predict", trained, path, "--out", tmp_path / "out", "--dicom-out", tmp_path / "d", "--anonymise")
    called = call(capsys, *command)
    assert called.code == 1
    assert "burned-in text" in called.err
    assert call(capsys, *command, "--dicom-kinds", "pm,sr").code == 0


def test_anonymise_needs_a_folder_for_the_objects(trained, images, capsys):
    assert "pass --dicom-out as well" in refusal(capsys, "predict", trained, images, "--anonymise")


def test_an_onnx_file_is_identified_by_the_weights_of_its_run(trained, tmp_path, monkeypatch: pytest.MonkeyPatch):
    def with_metadata(_model: object, image_size: object, metadata: Mapping[str, object], **_: object) -> bytes:
        model = onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], []))
        stored = {"pixels": "uint8", "size": image_size, "channels": 1, **metadata}
        onnx.helper.set_model_props(model, {PREFIX + key: json.dumps(value) for key, value in stored.items()})
        return model.SerializeToString()

    monkeypatch.setattr(run_onnx, "to_onnx", with_metadata)  # the conversion itself takes seconds
    path = tmp_path / "NET.onnx"
    path.write_bytes(run_onnx.onnx_from_run(open_run(trained)).content)
    of_file, of_run = read_model_identity(path), read_model_identity(trained)
    assert (of_file.name, of_file.weights_sha256, of_file.temperature) == (
        of_run.name,
        of_run.weights_sha256,
        of_run.temperature,
    )
    assert of_file.thresholds == {}
