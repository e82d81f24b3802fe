"""The predictor in Python: one image or many, files or arrays, and results that hold CAMs and overlays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

import ggcam
from data.dicom_fixture import write_dicom
from ggcam.data.case import Frame
from ggcam.data.framing import Fitted, Strided
from ggcam.data.images import read_image
from ggcam.errors import ConfigError, ImageError
from ggcam.inference.predict import predict
from ggcam.inference.predictor import Predictor
from ggcam.inference.result import PredictionResult
from ggcam.report.overlay import to_rgb
from ggcam.run_folder import open_run_folder

CLASSES = ("Normal", "CHF", "pneumonia")


@pytest.fixture(scope="module")
def predictor(trained: Path) -> Predictor:
    return ggcam.load_predictor(trained, device="cpu", engine="torch")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A PNG, a wide JPEG and a DICOM file."""
    noise = np.random.default_rng(0)
    paths = [tmp_path / "a.png", tmp_path / "b.jpg"]
    for path, size in zip(paths, ((96, 80), (50, 120)), strict=True):
        cv2.imwrite(str(path), noise.integers(0, 256, size, dtype=np.uint8))
    return [*paths, write_dicom(tmp_path / "c.dcm", noise.integers(0, 4096, (300, 200)).astype(np.uint16))]


def test_the_predictor_says_what_it_is(predictor):
    assert predictor.class_names == CLASSES
    assert not predictor.multi_label
    assert predictor.frame.shape == (64, 64)
    assert predictor.engine == "torch"
    assert repr(predictor) == "Predictor(Normal, CHF, pneumonia; 64x64 px, torch in float32)"


def test_test_images_get_the_probabilities_and_cams_of_the_evaluation(predictor, trained, simulated):
    run = open_run_folder(trained)
    evaluated = pd.read_parquet(run.predictions).set_index("case_id")
    cams = np.load(run.cams)
    results = predictor([next(simulated.glob(f"files/*/*/*/{case_id}.dcm")) for case_id in evaluated.index])
    for result, (case_id, row) in zip(results, evaluated.iterrows(), strict=True):
        assert result.image.stem == case_id
        assert result.predicted == CLASSES[int(row["predicted"])]
        for number, name in enumerate(CLASSES):
            assert result.probabilities[name] == pytest.approx(row[f"probability_{name}"], abs=1e-5)
            expected = cams["cam"][list(cams["case_id"]).index(case_id), number]
            np.testing.assert_allclose(result.cam_grid[name], expected, atol=2e-3, rtol=2e-3)  # stored as float16


def test_one_image_gives_one_result_and_a_list_gives_a_list(predictor, files):
    one, of_text, many = predictor(files[0]), predictor(str(files[0])), predictor(files)
    assert [len(many), len(predictor(files[:1])), len(predictor([]))] == [3, 1, 0]
    for result in (of_text, many[0]):
        assert result.probabilities == pytest.approx(one.probabilities, abs=1e-5)
    assert list(one.probabilities) == list(one.cam) == list(one.cam_grid) == list(CLASSES)
    assert sum(one.probabilities.values()) == pytest.approx(1, abs=1e-6)
    score = f"PredictionResult(a.png: {one.predicted} {max(one.probabilities.values()):.2f}"
    assert one.unusual  # noise is no X-ray
    assert repr(one) == f"{score}; unusual: {', '.join(one.unusual)})"
    assert repr(replace(one, unusual={})) == f"{score})"


@pytest.mark.parametrize("kind", ["uint8", "uint16", "big-endian", "float32", "float64", "not contiguous"])
def test_an_array_is_predicted_like_a_file_of_its_pixels(predictor, files, kind):
    pixels = read_image(files[0])
    array = {
        "uint8": pixels,
        "uint16": pixels.astype(np.uint16) * 257,
        "big-endian": (pixels.astype(np.uint16) * 257).astype(">u2"),
        "float32": pixels.astype(np.float32) / 255,
        "float64": pixels / 255,
        "not contiguous": np.ascontiguousarray(pixels[:, ::-1])[:, ::-1],
    }[kind]
    before = array.copy()
    expected, found = predictor(files[0]), predictor(array)
    assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-7 if array.dtype == np.uint8 else 1e-4)
    np.testing.assert_array_equal(array, before)
    assert found.image is array


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((64, 64, 4), np.uint8), r"not an image(?s:.*)got: shape \(64, 64, 4\)(?s:.*)as a list"),
        (np.zeros((4, 64), np.uint8), r"unsupported size(?s:.*)at least 8 pixels(?s:.*)\(4, 64\)"),
        (np.zeros((64, 64), np.int32), r"unsupported type(?s:.*)float from 0(?s:.*)got: int32"),
        (np.zeros((64, 64), bool), r"unsupported type(?s:.*)got: bool"),
        (np.full((64, 64), 255.0), r"outside 0\.\.1(?s:.*)255 to 255"),
        (np.full((64, 64), -0.5), r"outside 0\.\.1(?s:.*)-0\.5 to -0\.5"),
        (np.full((64, 64), np.nan), r"outside 0\.\.1(?s:.*)nan to nan"),
    ],
)
def test_an_array_that_is_no_image_is_refused_with_the_reason(predictor, array, message):
    with pytest.raises(ImageError, match=message):
        predictor(array)


def test_a_bad_file_raises_from_a_call_and_is_reported_batch_by_batch(predictor, files, tmp_path):
    (tmp_path / "broken.png").write_bytes(files[0].read_bytes()[:200])
    images = [files[0], tmp_path / "broken.png", files[1]]
    with pytest.raises(ImageError, match=r"broken\.png"):
        predictor(images)
    batches = list(predictor.predict_batches(images, batch_size=2))
    assert [[image for image, _ in batch] for batch in batches] == [images[:2], images[2:]]
    (_, first), (_, error) = batches[0]
    assert isinstance(error, ImageError)
    assert first.probabilities == pytest.approx(predictor(files[0]).probabilities, abs=1e-5)
    (only,) = list(predictor.predict_batches([tmp_path / "gone.png"]))
    assert "the image file does not exist" in str(only[0][1])
    with pytest.raises(ConfigError, match="batch size must be at least 1"):
        predictor(files, batch_size=0)


def test_the_image_sized_cam_is_the_grid_seen_through_the_frame():
    """A CAM that is linear in the frame stays linear in the image, but for the cubic kernel of OpenCV."""
    rows, columns = np.indices((8, 8), dtype=np.float32)
    framing = Fitted(Frame(64, 64))
    image = np.zeros((50, 120), np.uint8)  # fills the middle 27 rows of the frame
    result = PredictionResult(image, image.shape, {"a": 1.0}, {"a": 2 * rows + 5 * columns}, framing)
    cam = result.cam["a"]
    assert (cam.shape, cam.dtype) == ((50, 120), np.float32)
    affine = framing.affine(50, 120)
    y = affine.apply_y(np.arange(50) + 0.5) / 8 - 0.5
    x = affine.apply_x(np.arange(120) + 0.5) / 8 - 0.5
    inner = (x > 1) & (x < 6)  # beyond, cells of the edge are repeated
    np.testing.assert_allclose(cam[:, inner], (2 * y[:, None] + 5 * x)[:, inner], atol=0.5)
    assert cam[0, inner].max() < cam[-1, inner].max() < 49


def test_an_overlay_shows_the_predicted_class_unless_another_is_named(predictor, files):
    result = predictor(files[0])
    own, other = result.overlay(), result.overlay(next(name for name in CLASSES if name != result.predicted))
    assert own.shape == other.shape == (96, 80, 3)
    np.testing.assert_array_equal(own, result.overlay(result.predicted))
    assert (own != other).any()
    cam = result.cam[result.predicted]
    plain = to_rgb(read_image(files[0])).astype(int)
    change = np.abs(own.astype(int) - plain).sum(axis=2)
    assert change[cam > np.quantile(cam, 0.95)].mean() > 5 * change[cam < np.quantile(cam, 0.05)].mean()
    with pytest.raises(ConfigError, match=r"no such class(?s:.*)Normal, CHF, pneumonia(?s:.*)CHFF"):
        result.overlay("CHFF")
    with pytest.raises(KeyError):
        _ = result.cam["CHFF"]


def test_a_list_of_files_keeps_no_pixels_and_draws_the_same_overlays(predictor, files):
    for path, result in zip(files, predictor(files), strict=True):
        assert result.shown is None
        change = np.abs(result.overlay().astype(int) - predictor(path).overlay())
        assert change.max() <= 1  # CAMs differ by rounding between batch sizes
    (result,) = predictor(files[1:2])
    files[1].unlink()
    with pytest.raises(ImageError, match="the image file does not exist"):
        result.overlay()


def test_large_images_have_a_smaller_overlay_and_a_cam_of_their_own_size(predictor):
    result = predictor(np.random.default_rng(0).integers(0, 256, (1500, 1100), dtype=np.uint8))
    assert result.overlay().shape == (1024, 751, 3)
    assert result.cam["CHF"].shape == (1500, 1100)


def test_a_result_is_saved_with_its_overlay(predictor, files, tmp_path):
    result = predictor(files[2])
    path = result.save(tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "c.json"
    content = json.loads(path.read_text())
    assert content["image"] == str(files[2])
    assert (content["predicted"], content["probabilities"]) == (result.predicted, dict(result.probabilities))
    drawn = cv2.imread(str(path.with_name(content["overlay"])))
    np.testing.assert_array_equal(drawn[..., ::-1], result.overlay())
    array = predictor(read_image(files[0])).save(tmp_path, name="mine")
    assert json.loads(array.read_text())["image"] is None
    assert (tmp_path / "mine_cam.png").is_file()
    assert predictor(read_image(files[0])).save(tmp_path).name == "image.json"


def test_the_command_writes_what_the_predictor_returns(predictor, trained, files, tmp_path):
    table = predict(trained, files, tmp_path / "out", device="cpu", engine="torch").table
    for (_, row), result in zip(table.iterrows(), predictor(files), strict=True):
        assert row["image"] == str(result.image)
        assert row["predicted"] == result.predicted
        assert [row[f"probability_{name}"] for name in CLASSES] == list(result.probabilities.values())
        drawn = cv2.imread(str(tmp_path / "out" / row["overlay"]))
        np.testing.assert_array_equal(drawn[..., ::-1], result.overlay())


def test_an_onnx_file_alone_predicts_the_same(predictor, trained, files, tmp_path):
    from ggcam.inference.export import export_onnx

    export_onnx(trained, tmp_path / "NET.onnx")
    for engine in ("onnxruntime", "openvino"):
        other = ggcam.load_predictor(str(tmp_path / "NET.onnx"), engine=engine)
        assert other.engine == engine
        assert other.class_names == CLASSES
        for found, expected in zip(other(files), predictor(files), strict=True):
            assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-4)


def test_parts_of_an_image_off_the_frame_have_no_cam():
    """The original GG-CAM's framing crops large images: a pixel beyond the frame has no cell."""
    image = np.zeros((64, 160), np.uint8)
    cam = np.arange(16, dtype=np.float32).reshape(4, 4)
    result = PredictionResult(image, (64, 160), {"a": 1.0}, {"a": cam}, Strided(Frame(32, 32)))
    columns = np.flatnonzero(np.isfinite(result.cam["a"]).all(axis=0))
    assert (columns.min(), columns.max()) == (47, 111)  # a pixel of the frame spans two of the image
    assert np.isnan(result.cam["a"][:, :47]).all()
