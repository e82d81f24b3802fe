"""Prediction of new images: the same answers as the evaluation, an overlay each, and no stop at a bad file."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from commands.calling import call, refusal
from data.dicom_fixture import write_dicom
from ggcam.data.original.writer import write_original_folders
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.sources import egd_cxr, original
from ggcam.errors import ConfigError, MissingFileError
from ggcam.evaluation.evaluate import evaluate
from ggcam.inference.predict import predict
from ggcam.inference.run_onnx import onnx_from_run
from ggcam.run_folder import open_run_folder
from ggcam.training.config import TrainConfig
from ggcam.training.run import open_run
from ggcam.training.train import train

SIZE = (96, 80)


def picture(path: Path, seed: int = 0, size: tuple[int, int] = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
    assert cv2.imwrite(str(path), pixels)
    return path


def test_skipped_files_of_a_folder_are_named(trained, tmp_path, caplog):
    folder = tmp_path / "images"
    picture(folder / "a.png")
    picture(folder / "._a.png")
    shutil.copy(write_dicom(tmp_path / "c.dcm", np.zeros((300, 200), np.uint16)), folder / "IM000001")
    predict(trained, [folder], folder)
    found = predict(trained, [folder], folder)  # the overlays of the first call are no images
    assert [Path(image).name for image in found.table["image"]] == ["IM000001", "a.png"]
    assert found.table["overlay"].tolist() == ["IM000001_cam.png", "a_cam.png"]
    assert "hidden image file: 1 (._a.png)" in caplog.text
    assert "overlay drawn by ggcam: 2 (IM000001_cam.png, a_cam.png)" in caplog.text


def test_the_raw_test_images_get_the_probabilities_of_the_evaluation(trained, simulated, tmp_path):
    evaluated = pd.read_parquet(open_run_folder(trained).predictions).set_index("case_id")
    files = [next(simulated.glob(f"files/*/*/*/{case_id}.dcm")) for case_id in evaluated.index]
    table = predict(trained, files, tmp_path / "out", overlays=False).table
    classes = ["probability_Normal", "probability_CHF", "probability_pneumonia"]
    assert list(table) == ["image", "predicted", *classes, "unusual"]
    expected = evaluated.filter(like="probability_").to_numpy()
    np.testing.assert_allclose(table.filter(like="probability_").to_numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(table.filter(like="probability_").sum(axis=1), 1, atol=1e-6)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["predictions.csv"]


def test_every_kind_of_image_is_predicted_with_an_overlay_of_its_own_shape(trained, tmp_path):
    images = [picture(tmp_path / name, size=size) for name, size in (("a.png", SIZE), ("b.jpg", (50, 120)))]
    values = np.random.default_rng(0).integers(0, 4096, (300, 200)).astype(np.uint16)
    images.append(write_dicom(tmp_path / "c.dcm", values))
    found = predict(trained, images, tmp_path / "out")
    assert not found.failed
    for image, overlay in zip(images, found.table["overlay"], strict=True):
        drawn = cv2.imread(str(tmp_path / "out" / overlay))
        expected = (300, 200) if image.suffix == ".dcm" else cv2.imread(str(image)).shape[:2]
        assert drawn.shape[:2] == expected
        assert (drawn[..., 0] != drawn[..., 2]).any()  # there is colour on it


@pytest.fixture(scope="module", params=["raw", "pt"])
def as_original(request: pytest.FixtureRequest, simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on data that came into the frame in the original's way: prepared so, or read from files prepared so."""
    root = tmp_path_factory.mktemp("as_original")
    source = egd_cxr.read(simulated)
    data = prepare_source(source, root / "raw", PrepareConfig(preset="original", size="32x32", bits=8, workers=1))
    if request.param == "pt":
        write_original_folders(source, data, root / "files", workers=1)
        source = original.read(root / "files" / "Down2_Blur500")
        data = prepare_source(source, root / "pt", PrepareConfig(split="source", size="32x32", bits=8, workers=1))
    run = train(
        data, TrainConfig(backbone="test_resnet", output_stride=8, epochs=1, batch_size=8), root / "runs", "run"
    )
    return evaluate(run).save().root


def test_a_run_on_images_framed_in_the_originals_way_frames_new_ones_so(as_original, simulated, tmp_path):
    evaluated = pd.read_parquet(open_run_folder(as_original).predictions).set_index("case_id")
    expected = evaluated.filter(like="probability_").to_numpy()
    network = tmp_path / "NET.onnx"
    network.write_bytes(onnx_from_run(open_run(as_original)).content)
    kinds = [[next(simulated.glob(f"files/*/*/*/{case_id}.dcm")) for case_id in evaluated.index]]
    if files := list(as_original.parents[1].glob("files/Down2_Blur500/*/*.pt")):
        by_id = {path.stem: path for path in files}
        kinds.append([by_id[case_id] for case_id in evaluated.index])
    for images in kinds:
        for root in (as_original, network):
            table = predict(root, images, tmp_path / "out", overlays=False).table
            np.testing.assert_allclose(table.filter(like="probability_").to_numpy(), expected, atol=1e-4)


def test_margins_that_the_network_never_saw_have_no_cam(as_original, tmp_path):
    image = picture(tmp_path / "a.png", size=(64, 160))  # of which the middle 64x64 come into the frame of 32x32
    overlay = predict(as_original, [image], tmp_path / "out").table["overlay"].iloc[0]
    drawn = cv2.imread(str(tmp_path / "out" / overlay)).astype(int)
    coloured = np.flatnonzero((np.ptp(drawn, axis=2) > 0).any(axis=0))
    assert (coloured.min(), coloured.max()) == (47, 111)  # a pixel of the frame spans two of the image


def test_the_batch_size_changes_nothing(trained, tmp_path):
    images = [picture(tmp_path / f"{number}.png", number) for number in range(5)]
    tables = [
        predict(trained, images, tmp_path / str(size), overlays=False, batch_size=size).table for size in (1, 2, 8)
    ]
    for table in tables[1:]:
        assert table["image"].tolist() == tables[0]["image"].tolist()
        columns = [name for name in table if name.startswith("probability_")]
        np.testing.assert_allclose(table[columns], tables[0][columns], atol=1e-5)


def test_one_bad_file_is_reported_and_the_rest_goes_on(capsys, trained, tmp_path):
    folder = tmp_path / "in"
    good = [picture(folder / "deep" / "a.png"), picture(folder / "z.png", 1)]
    (folder / "broken.png").write_bytes(good[0].read_bytes()[:200])
    (folder / "empty.dcm").write_bytes(b"")
    (folder / "notes.txt").write_text("not an image")
    called = call(capsys, "predict", trained, folder, "--out", tmp_path / "out")
    assert called.code == 1
    assert pd.read_csv(tmp_path / "out" / "predictions.csv")["image"].tolist() == [str(path) for path in good]
    errors = pd.read_csv(tmp_path / "out" / "errors.csv")
    assert errors["image"].tolist() == [str(folder / name) for name in ("broken.png", "empty.dcm")]
    assert "2 images could not be read" in called.err
    assert "the image file is empty" in called.err


def test_a_later_call_leaves_no_answers_of_an_earlier_one(trained, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"x")
    predict(trained, [picture(tmp_path / "a.png"), tmp_path / "bad.png"], tmp_path / "out")
    predict(trained, [picture(tmp_path / "b.png")], tmp_path / "out")
    assert pd.read_csv(tmp_path / "out" / "predictions.csv")["image"].tolist() == [str(tmp_path / "b.png")]
    assert not (tmp_path / "out" / "errors.csv").exists()


def test_images_of_one_name_get_overlays_of_their_own(trained, tmp_path):
    images = [picture(tmp_path / folder / "x.png", number) for number, folder in enumerate(("a", "b", "c"))]
    table = predict(trained, images, tmp_path / "out").table
    assert table["overlay"].tolist() == ["x_cam.png", "x_2_cam.png", "x_3_cam.png"]


def test_overlays_of_an_earlier_call_are_not_taken_for_images(trained, tmp_path):
    picture(tmp_path / "a.png")
    for _ in range(2):
        table = predict(trained, [tmp_path], tmp_path).table
        assert table["image"].tolist() == [str(tmp_path / "a.png")]


def test_progress_ends_with_all_images(trained, tmp_path):
    calls: list[tuple[int, int]] = []
    images = [picture(tmp_path / f"{number}.png", number) for number in range(5)]
    predict(trained, images, tmp_path / "out", batch_size=2, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(2, 5), (4, 5), (5, 5)]


def test_an_image_of_nothing_is_still_answered(trained, tmp_path):
    cv2.imwrite(str(tmp_path / "black.png"), np.zeros(SIZE, np.uint8))
    table = predict(trained, [tmp_path / "black.png"], tmp_path / "out").table
    assert np.isfinite(table.filter(like="probability_").to_numpy()).all()


def test_what_cannot_work_is_said_before_anything_is_written(trained, tmp_path):
    image = picture(tmp_path / "in" / "a.png")
    (tmp_path / "none").mkdir()
    (tmp_path / "file").write_text("in the way")
    for images, options, error, message in (
        ([], {}, ConfigError, "no images to predict"),
        ([image], {"batch_size": 0}, ConfigError, "batch size must be at least 1"),
        ([image], {"device": "gpux"}, ConfigError, "no device 'gpux'"),
        ([tmp_path / "gone.png"], {}, MissingFileError, "the image does not exist"),
        ([tmp_path / "none"], {}, MissingFileError, "contains no images"),
    ):
        with pytest.raises(error, match=message):
            predict(trained, images, tmp_path / "out", **options)
        assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigError, match="exists and is a file"):
        predict(trained, [image], tmp_path / "file")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_damaged_run_is_refused(capsys, trained, tmp_path):
    image = picture(tmp_path / "a.png")
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    open_run_folder(run).weights.unlink()
    assert "no trained network yet" in refusal(capsys, "predict", run, image, "--out", tmp_path / "out")
    assert "run folder does not exist" in refusal(capsys, "predict", tmp_path / "gone", image)
    (run / "params_CAMClassifier_.txt").write_text("[]")
    assert "damaged" in refusal(capsys, "predict", run, image, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_real_x_rays_are_answered(trained, real_data, tmp_path):
    found = predict(trained, [real_data / "nih"], tmp_path / "out")
    assert not found.failed
    assert len(found.table) == 2
    for overlay in found.table["overlay"]:
        assert cv2.imread(str(tmp_path / "out" / overlay)).shape == (512, 512, 3)
