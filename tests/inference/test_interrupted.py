"""`ggcam predict` interrupted: nothing that was written is lost, and the same command goes on with the rest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import onnx
import pandas as pd
import pytest

from commands.calling import call, refusal
from dicom_output.predicted import STUDY, source_dataset
from ggcam.dicom_output.options import DicomOptions
from ggcam.dicom_output.writer import DicomWriter
from ggcam.errors import ConfigError
from ggcam.inference import prediction_files as module
from ggcam.inference.predict import Predictions, predict
from ggcam.inference.prediction_folder import UNFINISHED
from ggcam.inference.run_onnx import onnx_from_run
from ggcam.training.run import open_run

SOURCE = Path(__file__).parents[2] / "src"


class Killed(BaseException):
    pass


@pytest.fixture(scope="module")
def network(trained, tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("network") / "NET.onnx"
    file.write_bytes(onnx_from_run(open_run(trained)).content)
    return file


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number in range(24):
        pixels = np.random.default_rng(number).integers(0, 256, (96, 80), dtype=np.uint8)
        assert cv2.imwrite(str(folder / f"{number:02}.png"), pixels)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def interrupt(monkeypatch: pytest.MonkeyPatch, network: Path, images: Path, out: Path, after: int, **options) -> None:
    """Predict until `after` overlays have been drawn; the next one ends the call."""
    drawn, real = [], module._draw

    def draw(result, path):
        if len(drawn) >= after:
            raise Killed
        drawn.append(path)
        real(result, path)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_draw", draw)
        with pytest.raises(Killed):
            predict(network, [images], out, batch_size=2, **options)


def test_the_same_call_goes_on_to_the_same_files(network, images, tmp_path, monkeypatch):
    expected = predict(network, [images], tmp_path / "whole", batch_size=2)
    interrupt(monkeypatch, network, images, tmp_path / "out", after=11)
    finished = pd.read_csv(tmp_path / "out" / "predictions.csv")["overlay"].tolist()
    assert len(finished) == 10
    times = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in finished}
    progress: list[tuple[int, int]] = []
    found = predict(network, [images], tmp_path / "out", batch_size=2, progress=lambda *counts: progress.append(counts))
    assert found.resumed == 10
    assert progress[0] == (12, 25)
    assert progress[-1] == (25, 25)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in finished} == times
    pd.testing.assert_frame_equal(found.table, expected.table)
    assert (found.counts, found.unusual, found.failed) == (expected.counts, expected.unusual, expected.failed)
    # A finished call is replaced, not continued.
    assert predict(network, [images], tmp_path / "out").resumed == 0


def test_a_row_that_was_cut_off_or_lost_its_overlay_is_predicted_again(network, images, tmp_path, monkeypatch):
    predict(network, [images], tmp_path / "whole", batch_size=2)
    interrupt(monkeypatch, network, images, tmp_path / "out", after=11)
    table = tmp_path / "out" / "predictions.csv"
    table.write_bytes(table.read_bytes()[:-9])
    (tmp_path / "out" / "00_cam.png").unlink()
    assert predict(network, [images], tmp_path / "out", batch_size=2).resumed == 8
    found, expected = (pd.read_csv(tmp_path / name / "predictions.csv") for name in ("out", "whole"))
    assert sorted(found["image"]) == expected["image"].tolist()
    pd.testing.assert_frame_equal(found.sort_values("image", ignore_index=True), expected)


def test_another_call_does_not_mix_with_what_is_unfinished(network, images, tmp_path, monkeypatch, capsys):
    out, other = tmp_path / "out", tmp_path / "other.onnx"
    model = onnx.load_model(network)
    model.doc_string = "another network"
    onnx.save_model(model, other)
    interrupt(monkeypatch, network, images, out, after=6)
    before = contents(out)
    for options, message in (
        ((network, images / "00.png"), "unfinished predictions of other images"),
        ((network, images, "--no-overlays"), "got: other columns"),
        ((network, images, "--engine", "openvino"), "got: other --engine"),
        ((network, images, "--reduced-resolution"), "got: other --reduced-resolution"),
        ((other, images), "got: other network"),
    ):
        refused = refusal(capsys, "predict", *options, "--out", out)
        assert message in refused
        assert "--overwrite" in refused
        assert contents(out) == before
    called = call(capsys, "predict", network, images / "00.png", "--out", out, "--overwrite")
    assert "1 images in" in called.out
    assert len(pd.read_csv(out / "predictions.csv")) == 1
    assert not (out / UNFINISHED).exists()


def test_a_damaged_description_of_the_unfinished_call_is_named(network, images, tmp_path):
    (tmp_path / UNFINISHED).write_text('{"network": 1}')
    with pytest.raises(ConfigError, match="description of an unfinished call is damaged"):
        predict(network, [images / "00.png"], tmp_path)
    assert predict(network, [images / "00.png"], tmp_path, overwrite=True).resumed == 0


def test_dicom_objects_of_finished_images_are_listed_and_not_made_again(network, tmp_path, monkeypatch):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(6):
        image = source_dataset(SOPInstanceUID=f"{STUDY['StudyInstanceUID']}.{number}")
        image.save_as(folder / f"{number}.dcm", enforce_file_format=True)

    def run(out: Path, anonymise: bool = False) -> Predictions:
        writer = DicomWriter(network, tmp_path / "objects", DicomOptions(("sr",), anonymise=anonymise))
        return predict(network, [folder], out, batch_size=2, writer=writer)

    run(tmp_path / "whole")
    expected = (tmp_path / "whole" / "dicom.csv").read_bytes()
    interrupt(
        monkeypatch,
        network,
        folder,
        tmp_path / "out",
        after=3,
        writer=DicomWriter(network, tmp_path / "objects", DicomOptions(("sr",))),
    )
    with pytest.raises(ConfigError, match="anonymised objects, whose identities are new"):
        run(tmp_path / "out", anonymise=True)
    assert run(tmp_path / "out").resumed == 2
    assert (tmp_path / "out" / "dicom.csv").read_bytes() == expected


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_command_has_lost_nothing_that_was_finished(network, images, tmp_path):
    folder, out = tmp_path / "images", tmp_path / "out"
    folder.mkdir()
    for number in range(200):
        (folder / f"{number:03}.png").hardlink_to(images / f"{number % 24:02}.png")
    table = out / "predictions.csv"
    arguments = ("predict", network, folder, "--out", out, "--batch-size", "1")
    command = [sys.executable, "-m", "ggcam", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if table.is_file() and table.read_bytes().count(b"\n") > 20:
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the command was faster than the kill"
    left = pd.read_csv(table)
    assert len(left) >= 20
    assert all((out / name).is_file() for name in left["overlay"])
    found = predict(network, [folder], out, batch_size=1)
    assert found.resumed == len(left)
    assert found.table["image"].tolist() == [str(path) for path in sorted(folder.iterdir())]
    expected = predict(network, [folder], tmp_path / "whole", batch_size=1)
    pd.testing.assert_frame_equal(found.table, expected.table)
