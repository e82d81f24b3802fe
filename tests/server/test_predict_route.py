"""Answers to POST /predict: the predictor's own numbers in each format, and clear errors."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from starlette.testclient import TestClient

from dicom_output.predicted import STUDY
from ggcam.inference.predictor import Predictor
from hostile_images import write_hostile_images
from server.conftest import png


def error_of(response) -> dict[str, str]:
    assert list(response.json()) == ["error"]
    return response.json()["error"]


def test_json_has_the_predictors_numbers(client: TestClient, predictor: Predictor, model, dicom: bytes, tmp_path: Path):
    response = client.post("/predict", files={"file": dicom})
    assert response.status_code == 200
    body = response.json()
    assert body["use"] == "For research use. Not for diagnosis."
    (image,) = body["images"]
    (tmp_path / "image.dcm").write_bytes(dicom)
    expected = predictor(tmp_path / "image.dcm")
    assert image["probabilities"] == pytest.approx(expected.probabilities, abs=1e-6)
    assert image["predicted"] == expected.predicted
    assert tuple(image["image_size"]) == expected.image_size
    assert image["unusual"] == expected.unusual
    assert image["positive"] == {name: expected.probabilities[name] >= at for name, at in model.thresholds.items()}
    assert image["is_dicom"]
    assert "error" not in image


def test_several_files_are_answered_in_order_and_a_hostile_one_costs_no_other(client: TestClient, tmp_path: Path):
    hostile = write_hostile_images(tmp_path)
    names = [None, *hostile, None]
    contents = [png(1), *((tmp_path / name).read_bytes() for name in hostile), png(2)]
    response = client.post("/predict", files=[("file", content) for content in contents])
    assert response.status_code == 200
    images = response.json()["images"]
    assert ["error" in image for image in images] == [name is not None for name in names]
    alone = client.post("/predict", files={"file": png(2)}).json()["images"][0]
    assert images[-1]["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-6)


def test_the_words_are_those_of_the_command_line_without_the_path(
    client: TestClient, predictor: Predictor, tmp_path: Path
):
    from ggcam.errors import ImageError

    for name in write_hostile_images(tmp_path):
        response = client.post("/predict", files={"file": ("secret_name.dcm", (tmp_path / name).read_bytes())})
        assert response.status_code == 422
        with pytest.raises(ImageError) as raised:
            predictor(tmp_path / name)
        error = error_of(response)
        assert error["what"] == raised.value.what
        assert {key: text for key, text in raised.value.details.items() if key != "where"} == {
            key: text for key, text in error.items() if key != "what"
        }
        for leaked in ("secret_name", "/proc", str(tmp_path), "Traceback"):
            assert leaked not in response.text


def test_a_picture_has_the_image_and_every_map(client: TestClient, predictor: Predictor, tmp_path: Path):
    (tmp_path / "image.png").write_bytes(png(3))
    picture = client.post("/predict?picture=true", files={"file": png(3)}).json()["images"][0]["picture"]
    image = picture["image"]
    values = np.frombuffer(base64.b64decode(image["data"]), np.uint8).reshape(image["height"], image["width"])
    np.testing.assert_array_equal(values, cv2.imread(str(tmp_path / "image.png"), cv2.IMREAD_UNCHANGED))
    assert picture["window"] == [0, 255]
    expected = predictor(tmp_path / "image.png")
    for name, cam in picture["cams"].items():
        found = np.frombuffer(base64.b64decode(cam["data"]), np.uint8).reshape(cam["height"], cam["width"]) / 255
        exact = expected.cam[name]
        scaled = (exact - np.nanmin(exact)) / max(np.nanmax(exact) - np.nanmin(exact), 1e-12)
        inside = np.isfinite(scaled)
        assert np.abs(found - scaled)[inside].max() < 0.01
        assert not found[~inside].any()


def test_sixteen_bits_keep_their_depth(client: TestClient, dicom: bytes):
    picture = client.post("/predict?picture=true", files={"file": dicom}).json()["images"][0]["picture"]
    image = picture["image"]
    assert image["bits"] == 16
    values = np.frombuffer(base64.b64decode(image["data"]), "<u2")
    assert len(values) == image["width"] * image["height"]
    assert len(np.unique(values)) > 256
    assert 0 <= picture["window"][0] < picture["window"][1] <= 65535


@pytest.mark.parametrize("asked", [{"params": {"format": "png"}}, {"headers": {"Accept": "image/png"}}])
def test_an_overlay_is_a_png_image_that_is_marked_as_drawn(client, predictor, tmp_path, asked):
    from ggcam.data.png import is_marked_png

    name = predictor.class_names[1]
    params = {**asked.get("params", {}), "class": name}
    response = client.post("/predict", files={"file": png(4)}, params=params, headers=asked.get("headers"))
    assert response.headers["content-type"] == "image/png"
    (tmp_path / "image.png").write_bytes(png(4))
    (tmp_path / "overlay.png").write_bytes(response.content)
    assert is_marked_png(tmp_path / "overlay.png")
    drawn = cv2.imread(str(tmp_path / "overlay.png"))[:, :, ::-1]
    np.testing.assert_array_equal(drawn, predictor(tmp_path / "image.png").overlay(name))


def test_dicom_objects_come_as_zip_and_as_multipart(client: TestClient, dicom: bytes):
    response = client.post("/predict", files={"file": dicom}, params={"format": "zip"})
    assert response.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert [name[:2] for name in archive.namelist()] == ["pm", "sr", "sc"]
        zipped = {name[:2]: archive.read(name) for name in archive.namelist()}
    for content in zipped.values():
        assert pydicom.dcmread(io.BytesIO(content)).StudyInstanceUID == STUDY["StudyInstanceUID"]

    response = client.post("/predict", files={"file": dicom}, params={"format": "dicom", "kinds": "sr"})
    content_type = response.headers["content-type"]
    assert content_type.startswith('multipart/related; type="application/dicom"; boundary=')
    boundary = content_type.rpartition("=")[2].encode()
    empty, part, end = response.content.split(b"--" + boundary)
    assert (empty, end) == (b"", b"--\r\n")
    header, _, content = part.partition(b"\r\n\r\n")
    assert header == b"\r\nContent-Type: application/dicom"
    report = pydicom.dcmread(io.BytesIO(content.removesuffix(b"\r\n")))
    assert report.SOPClassUID.name == "Comprehensive 3D SR Storage"


@pytest.mark.parametrize(
    ("params", "status", "what"),
    [
        ({"format": "gif"}, 400, "invalid parameter"),
        ({"format": "zip", "kinds": "sr,xy"}, 400, "unknown kind of DICOM object"),
        ({"format": "zip", "kinds": "sr,pr"}, 400, "pr refers to pm"),
        ({"class": "<b>"}, 400, "no such class"),
        ({"format": "zip"}, 422, "not a DICOM file, so the image belongs to no study that results could join"),
    ],
)
def test_wrong_parameters(client: TestClient, params: dict[str, str], status: int, what: str):
    response = client.post("/predict", files={"file": png(0)}, params=params)
    assert response.status_code == status
    assert error_of(response)["what"] == what
    assert "<b>" not in response.text


def test_only_json_describes_several_images(client: TestClient):
    response = client.post("/predict?format=png", files=[("file", png(0)), ("file", png(1))])
    assert response.status_code == 400
    assert error_of(response)["what"] == "only JSON describes several images"
