"""Images unlike the training's are marked: in tables, results and JSON files, by run folders and by ONNX files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import onnx
import pandas as pd
import pytest

import ggcam
from commands.calling import call
from ggcam.data.images import read_image
from ggcam.data.pixel_arrays import to_uint8
from ggcam.errors import RunFolderError, WeightsError
from ggcam.inference.cached_onnx import read_cached_onnx
from ggcam.inference.export import export_onnx
from ggcam.inference.predict import predict
from ggcam.inference.predictor import Predictor
from ggcam.inference.run_onnx import cached_onnx
from ggcam.run_folder import open_run_folder
from ggcam.training.run import open_run


@pytest.fixture(scope="module")
def predictor(trained: Path) -> Predictor:
    return ggcam.load_predictor(trained, engine="torch")


@pytest.fixture(scope="module")
def xrays(trained: Path, simulated: Path) -> list[np.ndarray]:
    """The raw test images."""
    case_ids = pd.read_parquet(open_run_folder(trained).predictions)["case_id"]
    return [to_uint8(read_image(next(simulated.glob(f"files/*/*/*/{case_id}.dcm")))) for case_id in case_ids]


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """A colour picture: smooth areas of different colours."""
    areas = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return cv2.resize(areas, (150, 100), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def with_onnx(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the run that holds its network as ONNX, too."""
    root = shutil.copytree(trained, tmp_path_factory.mktemp("with_onnx") / "run")
    cached_onnx(open_run(root))
    return root


@pytest.fixture
def old_run(trained: Path, tmp_path: Path) -> Path:
    """A run of an earlier version, without a description of its training images."""
    root = shutil.copytree(trained, tmp_path / "old")
    for path in root.glob("typicality.*"):
        path.unlink()
    return root


def test_xrays_like_the_training_images_are_rarely_marked(predictor, xrays):
    marked = [bool(result.unusual) for result in predictor(xrays)]
    assert np.mean(marked) <= 0.2


def test_inverted_xrays_are_marked(predictor, xrays):
    results = predictor([255 - image for image in xrays])
    found = [set(result.unusual) for result in results]
    assert all(found)
    assert np.mean(["inverted" in each for each in found]) > 0.7


def test_masks_and_uniform_images_are_marked(predictor, xrays):
    for image in xrays:
        mask = np.where(image > np.median(image), 255, 0).astype(np.uint8)
        assert "extremes" in predictor(mask).unusual
    assert predictor(np.zeros((96, 80), np.uint8)).unusual


def test_photographs_are_marked_as_files_and_as_arrays(predictor, photograph, tmp_path):
    assert cv2.imwrite(str(tmp_path / "a.png"), photograph[..., ::-1])
    as_file, as_array = predictor(tmp_path / "a.png"), predictor(photograph)
    assert "colour" in as_file.unusual
    assert as_file.unusual == as_array.unusual
    grey = predictor(cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY))
    assert set(as_array.unusual) - set(grey.unusual) == {"colour"}
    np.testing.assert_allclose(list(grey.probabilities.values()), list(as_array.probabilities.values()), atol=1e-6)


def test_tables_and_json_files_say_why(trained, xrays, tmp_path):
    images = [tmp_path / "usual.png", tmp_path / "inverted.png"]
    usual = next(image for image in xrays if not ggcam.load_predictor(trained, engine="torch")(image).unusual)
    for path, image in zip(images, (usual, 255 - usual), strict=True):
        assert cv2.imwrite(str(path), image)
    predict(trained, images, tmp_path / "out", overlays=False)
    table = pd.read_csv(tmp_path / "out" / "predictions.csv", keep_default_na=False)
    assert table["unusual"][0] == ""
    assert "correlation with the mean training image -0." in table["unusual"][1]
    result = ggcam.load_predictor(trained)(images[1])
    assert json.loads(result.save(tmp_path).read_text())["unusual"] == result.unusual


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_an_onnx_file_alone_marks_the_same(predictor, with_onnx, xrays, photograph, tmp_path, engine):
    export_onnx(with_onnx, tmp_path / "net.onnx")
    images = [xrays[0], 255 - xrays[0], photograph]
    expected, found = predictor(images), ggcam.load_predictor(tmp_path / "net.onnx", engine=engine)(images)
    assert [set(each.unusual) for each in expected] == [set(each.unusual) for each in found]
    assert any("features" in each.unusual for each in found)


def test_a_run_without_a_description_predicts_as_before_and_says_so(old_run, predictor, xrays, tmp_path, capsys):
    old = ggcam.load_predictor(old_run)(xrays[0])
    assert old.unusual is None
    assert "unusual" not in json.loads(old.save(tmp_path).read_text())
    assert old.probabilities == pytest.approx(predictor(xrays[0]).probabilities, abs=1e-5)
    assert cv2.imwrite(str(tmp_path / "a.png"), xrays[0])
    called = call(capsys, "predict", old_run, tmp_path / "a.png", "--out", tmp_path / "out", "--no-overlays")
    assert called.code == 0
    assert called.out.count("images unlike them are not marked") == 1
    assert "unusual" not in pd.read_csv(tmp_path / "out" / "predictions.csv")


def test_the_command_counts_the_marked_images(trained, xrays, tmp_path, capsys):
    assert cv2.imwrite(str(tmp_path / "a.png"), 255 - xrays[0])
    called = call(capsys, "predict", trained, tmp_path / "a.png", "--out", tmp_path / "out", "--no-overlays")
    marked = open_run(trained).typicality.validation
    expected = f"; of the run's own validation images, {marked.marked} of {marked.cases} were\n"
    assert f"unlike the training images: 1 (column unusual){expected}" in called.out


def test_the_onnx_file_in_the_run_folder_follows_the_description(with_onnx, tmp_path):
    root = shutil.copytree(with_onnx, tmp_path / "run")
    assert read_cached_onnx(open_run_folder(root)) is not None
    path = root / "typicality.json"
    path.write_text(path.read_text().replace('"rate": 0.01', '"rate": 0.02'))
    assert read_cached_onnx(open_run_folder(root)) is None


def test_damaged_descriptions_are_refused(with_onnx, tmp_path):
    root = shutil.copytree(with_onnx, tmp_path / "run")
    (root / "typicality.json").write_text("{}")
    with pytest.raises(RunFolderError, match="cases is missing"):
        ggcam.load_predictor(root)
    model = onnx.load(open_run(with_onnx).folder.onnx)
    note = next(each for each in model.metadata_props if each.key == "ggcam.typicality")
    note.value = note.value.replace('"layout"', '"outlay"')
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(WeightsError, match="layout is missing"):
        ggcam.load_predictor(tmp_path / "net.onnx")
