"""Colour from the raw file to the prediction: prepared images, training, engines, overlays; and grey beside it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

import ggcam
from colour_source import photograph, write_photographs
from commands.calling import call, refusal
from data.dicom_fixture import write_dicom
from ggcam.cli import main
from ggcam.data.prepare.config import PrepareConfig
from ggcam.errors import RunFolderError
from ggcam.inference.export import export_int8, export_onnx
from ggcam.inference.onnx import read_metadata
from ggcam.inference.predictor import Predictor
from ggcam.report.data_card import data_card
from ggcam.run_folder import open_run_folder
from ggcam.training.config import TrainConfig
from ggcam.training.model_spec import ModelSpec
from ggcam.training.run import open_run
from ggcam.utils.documents import read_json

SIZE = "64x64"


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photographs(tmp_path_factory.mktemp("colour") / "photographs")


@pytest.fixture(scope="module")
def colours(photographs: Path) -> Path:
    ggcam.prepare(photographs, photographs.with_name("data"), PrepareConfig(size=SIZE))
    return photographs.with_name("data")


@pytest.fixture(scope="module")
def run(colours: Path) -> Path:
    """A run that the command line trained and evaluated on colours."""
    values = {"guidance": "none", "backbone": "test_resnet", "output-stride": 8, "epochs": 5, "lr": 3e-3}
    options = ["--batch-size=8", *(f"--{name}={value}" for name, value in values.items())]
    main(["train", str(colours), "--out", str(colours.with_name("runs")), "--name", "colour", *options])
    return colours.with_name("runs") / "colour"


@pytest.fixture(scope="module")
def onnx_file(run: Path) -> Path:
    """The ONNX file of the run, which the run folder keeps, too."""
    ggcam.load_predictor(run, device="cpu", engine="onnxruntime")
    export_onnx(run, run.with_name("net.onnx"))
    return run.with_name("net.onnx")


@pytest.fixture(scope="module")
def predictor(run: Path) -> Predictor:
    return ggcam.load_predictor(run, device="cpu", engine="torch")


def rgb(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)


def test_prepared_images_have_the_colours_of_the_raw_ones(photographs, colours):
    data = ggcam.load_prepared(colours)
    assert (data.channels, data.kind, data.image_shape) == (3, "other", (64, 64, 3))
    raw = rgb(photographs / "red" / "003.png")
    framed = data.read_image("red_003")
    np.testing.assert_array_equal(framed, rgb(colours / "images" / "red_003.png"))
    height = 64 * 72 // 96  # the whole width, centred
    expected = cv2.resize(raw, (64, height), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(framed[(64 - height) // 2 :][:height], expected)


def test_the_same_folder_is_prepared_to_the_same_bytes(photographs, colours, tmp_path):
    ggcam.prepare(photographs, tmp_path / "again", PrepareConfig(size=SIZE, workers=1))
    files = sorted(path.relative_to(colours) for path in colours.rglob("*") if path.is_file())
    assert len([path for path in files if path.suffix == ".png"]) == 48
    for path in files:
        assert (colours / path).read_bytes() == (tmp_path / "again" / path).read_bytes(), path


def test_colours_alone_tell_the_classes_apart(run):
    assert read_json(open_run_folder(run).metrics)["macro_auroc"]["value"] == 1


def test_a_run_records_its_channels_and_their_statistics(run):
    recorded = json.loads((run / "params_CAMClassifier_.txt").read_text())
    assert recorded["channels"] == recorded["in_channels"] == 3
    assert recorded["mean"] == [0.485, 0.456, 0.406]
    assert recorded["std"] == [0.229, 0.224, 0.225]
    assert open_run(run).load_model().mean == (0.485, 0.456, 0.406)


def test_the_command_line_predicts_colours_with_an_overlay_in_colour(capsys, run, photographs, tmp_path):
    image = photographs / "blue" / "001.png"
    assert call(capsys, "predict", run, image, "--out", tmp_path / "out").code == 0
    table = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert table["predicted"].tolist() == ["blue"]
    assert rgb(tmp_path / "out" / "001_cam.png").shape == rgb(image).shape


def test_a_photograph_shows_through_its_overlay_where_the_cam_is_low(predictor):
    image = photograph("blue", 1)
    overlay = predictor(image).overlay("red")
    untouched = (overlay == image).all(axis=2)
    assert np.ptp(overlay[untouched].astype(int), axis=1).max() > 200  # the blue of the disc


def test_every_engine_predicts_a_colour_run_alike(predictor, onnx_file, photographs):
    images = [photographs / "red" / "001.png", photographs / "blue" / "002.png", photograph("red", 7, (50, 40))]
    assert read_metadata(onnx_file.read_bytes())["channels"] == 3
    expected = predictor(images)
    for engine in ("onnxruntime", "openvino"):
        found = ggcam.load_predictor(onnx_file, engine=engine)(images)
        for ours, theirs in zip(expected, found, strict=True):
            assert ours.probabilities == pytest.approx(theirs.probabilities, abs=1e-5)
            for name, cam in ours.cam_grid.items():
                np.testing.assert_allclose(theirs.cam_grid[name], cam, atol=1e-4 * max(1, np.abs(cam).max()))


def test_int8_is_calibrated_on_colours(run, onnx_file, tmp_path):
    assert onnx_file.is_file()  # so that the run folder keeps one, and nothing is converted again
    measured = export_int8(run, tmp_path / "int8.onnx")
    assert measured["macro AUROC in int8"] == 1
    assert measured["largest change of a probability"] < 0.1
    assert read_metadata((tmp_path / "int8.onnx").read_bytes())["channels"] == 3


def test_an_array_is_predicted_like_a_file_of_its_pixels(predictor, tmp_path):
    image = photograph("red", 3)
    cv2.imwrite(str(tmp_path / "x.png"), image[:, :, ::-1])
    from_file, from_array = predictor(tmp_path / "x.png"), predictor(image)
    assert from_array.probabilities == from_file.probabilities
    np.testing.assert_array_equal(from_array.overlay(), from_file.overlay())
    as_float = predictor(image.astype(np.float32) / 255)
    assert as_float.probabilities == pytest.approx(from_file.probabilities, abs=1e-4)


def test_a_grey_image_is_repeated_in_three_channels(predictor, tmp_path):
    grey = photograph("red", 3)[:, :, 0]
    repeated = predictor(np.repeat(grey[:, :, None], 3, axis=2))
    cv2.imwrite(str(tmp_path / "x.png"), grey)
    dicom = write_dicom(tmp_path / "x.dcm", grey.astype(np.uint16), WindowCenter=128, WindowWidth=256)
    for image, tolerance in ((grey, 0), (tmp_path / "x.png", 0), (dicom, 0.02)):
        assert predictor(image).probabilities == pytest.approx(repeated.probabilities, abs=tolerance)
    np.testing.assert_array_equal(predictor(tmp_path / "x.png").overlay(), repeated.overlay())


def test_a_colour_dicom_file_is_seen_in_colour(predictor, tmp_path):
    image = photograph("blue", 4)
    path = write_dicom(
        tmp_path / "x.dcm", image, 8, SamplesPerPixel=3, PlanarConfiguration=0, PhotometricInterpretation="RGB"
    )
    assert predictor(path).probabilities == pytest.approx(predictor(image).probabilities, abs=1e-5)


def test_a_grey_run_sees_colours_in_grey(trained, tmp_path):
    image = photograph("red", 3)
    cv2.imwrite(str(tmp_path / "x.png"), image[:, :, ::-1])
    grey = ggcam.load_predictor(trained, device="cpu", engine="torch")
    expected = grey(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    for found in (grey(tmp_path / "x.png"), grey(image)):
        assert found.probabilities == expected.probabilities
        np.testing.assert_array_equal(found.overlay(), expected.overlay())


def test_data_of_other_channels_are_refused(capsys, run, photographs, tmp_path):
    call(capsys, "prepare", photographs, tmp_path / "grey", "--size", SIZE, "--channels", "grey")
    data = ggcam.load_prepared(tmp_path / "grey")
    assert data.read_image("red_003").shape == (64, 64)
    with pytest.raises(RunFolderError, match=r"different channels(?s:.*)expected: colour(?s:.*)got: grey"):
        open_run(run).spec.check_match(data)
    assert "different channels" in refusal(capsys, "evaluate", run, "--data", tmp_path / "grey")


def test_the_original_networks_take_colours(colours):
    data = ggcam.load_prepared(colours)
    image = ggcam.PreparedDataset(data, "train").batch([0, 1]).image
    model = ModelSpec.from_config(TrainConfig(backbone="original-resnet-18"), data).build().eval()
    with torch.no_grad():
        assert not torch.equal(model(image).logits, model(image.flip(1)).logits)


def test_an_old_folder_without_channels_is_grey(trained):
    data = open_run(trained).data()
    old = replace(data, meta={key: value for key, value in data.meta.items() if key != "channels"})
    assert data.meta["channels"] == old.channels == 1
    assert old.image_shape == old.frame.shape


def test_inspect_and_the_data_card_show_colours(capsys, colours, tmp_path):
    assert "in colour" in data_card(ggcam.load_prepared(colours)).facts["Frame"]
    called = call(capsys, "inspect", colours, "--out", tmp_path / "sheet.png")
    assert called.code == 0
    assert (np.ptp(rgb(tmp_path / "sheet.png").astype(int), axis=2) > 150).mean() > 0.01
