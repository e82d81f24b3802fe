"""The program in the documentation that runs an exported file without ggcam gives the numbers of `ggcam predict`."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import ggcam
from colour_source import photograph
from data.dicom_fixture import write_dicom
from doc_pages import DOCS, blocks
from ggcam.inference.int8 import quantise
from ggcam.inference.onnx_conversion import to_onnx
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

FRAME = (96, 64)
NOTE = {"class_names": ["a", "b", "ç"], "multi_label": False, "framing": "fitted", "used_bits": 16}
PREDICT = Callable[[str, str], tuple[dict[str, float], dict[str, np.ndarray]]]


@pytest.fixture(scope="module")
def program() -> str:
    (text,) = (block.text for block in blocks(DOCS / "guides/export.md") if "def predict" in block.text)
    return text


@pytest.fixture(scope="module")
def predict(program: str) -> PREDICT:
    variables: dict = {}
    exec(compile(program, "<guides/export.md>", "exec"), variables)
    return variables["predict"]


def convert(channels: int, **note: object) -> bytes:
    torch.manual_seed(channels)
    model = CAMClassifier(create_backbone("test_resnet", FRAME, in_channels=channels), 3)
    torch.nn.init.normal_(model.head.weight)
    return to_onnx(model, FRAME, {**NOTE, **note}, channels=channels)


@pytest.fixture(scope="module")
def grey() -> bytes:
    return convert(1, temperature=[1.7, 1.7, 1.7])


@pytest.fixture(scope="module")
def files(grey: bytes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name -> ONNX file."""
    root = tmp_path_factory.mktemp("files")
    noise = np.random.default_rng(0).integers(0, 256, (4, 8, 1, *FRAME), np.uint8)
    made = {
        "calibrated": grey,
        "several labels": with_note(grey, multi_label=True, temperature=[0.4, 1.0, 2.5]),
        "12 bits": with_note(grey, used_bits=12),
        "int8": quantise(grey, iter(noise)),
        "colour": convert(3, temperature=[1.0, 1.0, 1.0]),
    }
    for name, content in made.items():
        (root / f"{name}.onnx").write_bytes(content)
    return {name: root / f"{name}.onnx" for name in made}


def with_note(content: bytes, **note: object) -> bytes:
    model = onnx.load_model_from_string(content)
    for prop in model.metadata_props:
        if (key := prop.key.removeprefix("ggcam.")) in note:
            prop.value = json.dumps(note[key])
    return model.SerializeToString()


def xray(height: int = 150, width: int = 130, top: int = 4095) -> np.ndarray:
    """Smooth as an X-ray, so that resizing matters."""
    noise = np.random.default_rng(height).normal(size=(height, width))
    smooth = cv2.GaussianBlur(noise, (0, 0), 5)
    return np.rint((smooth - smooth.min()) / np.ptp(smooth) * top).astype(np.uint16)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name -> image file."""
    root = tmp_path_factory.mktemp("images")
    window = {"WindowCenter": 1800, "WindowWidth": 900}
    found = {
        "MONOCHROME2, window": write_dicom(root / "2.dcm", xray(), **window),
        "MONOCHROME1, window": write_dicom(root / "1.dcm", xray(), PhotometricInterpretation="MONOCHROME1", **window),
        "MONOCHROME1, no window": write_dicom(root / "n.dcm", xray(), PhotometricInterpretation="MONOCHROME1"),
        "two windows, rescale": write_dicom(
            root / "r.dcm",
            xray(),
            RescaleSlope=2,
            RescaleIntercept=-1000,
            WindowCenter=[1500.5, 40],
            WindowWidth=[3000, 4],
        ),
        "signed": write_dicom(root / "s.dcm", xray(90, 200).astype(np.int16) - 2000),
        "8 bits, small": write_dicom(root / "8.dcm", xray(40, 30, 255), bits=8),
    }
    rasters = {
        "8-bit PNG": (".png", xray(120, 300, 255).astype(np.uint8)),
        "16-bit PNG": (".png", xray(300, 120, 65535)),
        "12 bits in a PNG": (".png", xray()),
        "colour PNG": (".png", photograph("red", 3)),
        "JPEG": (".jpg", xray(200, 160, 255).astype(np.uint8)),
        "colour JPEG": (".jpg", photograph("blue", 4)),
    }
    for name, (suffix, pixels) in rasters.items():
        found[name] = root / f"{name}{suffix}"
        cv2.imwrite(str(found[name]), pixels)
    return found


@pytest.mark.parametrize("name", ["calibrated", "several labels", "12 bits", "int8", "colour"])
def test_the_program_gives_the_numbers_of_ggcam(predict, files, images, name):
    predictor = ggcam.load_predictor(files[name], engine="onnxruntime")
    for kind, path in images.items():
        probabilities, cam = predict(str(files[name]), str(path))
        result = predictor(path)
        assert list(probabilities) == list(result.probabilities)
        for label in result.probabilities:
            assert probabilities[label] == pytest.approx(result.probabilities[label], abs=1e-5), kind
            np.testing.assert_allclose(cam[label], result.cam_grid[label], atol=1e-4, err_msg=kind)


def test_the_images_and_files_tell_mistakes_apart(files, images):
    """Otherwise equal numbers would prove nothing."""
    answers = {
        (name, kind): tuple(result.probabilities.values())
        for name, file in files.items()
        for kind, result in zip(images, ggcam.load_predictor(file)(list(images.values())), strict=True)
    }
    for kind in images:
        assert len({np.round(answers[name, kind], 3).tobytes() for name in ("calibrated", "several labels")}) == 2
    assert answers["calibrated", "12 bits in a PNG"] != answers["12 bits", "12 bits in a PNG"]
    shown = ["MONOCHROME2, window", "MONOCHROME1, window", "MONOCHROME1, no window", "two windows, rescale"]
    assert len({np.round(answers["calibrated", kind], 3).tobytes() for kind in shown}) == len(shown)


def test_the_program_is_short_and_imports_four_packages_alone(program):
    imported = {
        alias.name.partition(".")[0]
        for node in ast.walk(ast.parse(program))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported == {"json", "cv2", "numpy", "onnxruntime", "pydicom"}
    assert len([line for line in program.splitlines() if line.strip() and not line.startswith("import")]) <= 32
