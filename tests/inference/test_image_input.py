"""Images for prediction: those of fewer used bits look as the training images did, or are warned about."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from ggcam.data.case import Frame
from ggcam.data.framing import Fitted
from ggcam.inference.image_input import load_image, load_shown
from ggcam.inference.network import open_network
from ggcam.inference.predict import predict

FRAME = Frame(64, 64)


PIXELS = np.random.default_rng(0).integers(0, 4096, (80, 64)).astype(np.uint16)


@pytest.fixture
def twelve(tmp_path: Path) -> Path:
    """A 16-bit PNG file whose values use 12 bits."""
    cv2.imwrite(str(tmp_path / "twelve.png"), PIXELS)
    return tmp_path / "twelve.png"


@pytest.fixture
def sixteen(tmp_path: Path) -> Path:
    """The same image, whose values use all bits."""
    cv2.imwrite(str(tmp_path / "sixteen.png"), np.rint(PIXELS * (65535 / 4095)).astype(np.uint16))
    return tmp_path / "sixteen.png"


def test_the_bits_of_the_training_images_are_used(twelve: Path, sixteen: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        found, expected = load_image(twelve, Fitted(FRAME, 12)), load_image(sixteen, Fitted(FRAME))
    np.testing.assert_array_equal(found.framed, expected.framed)
    np.testing.assert_array_equal(found.shown, expected.shown)
    np.testing.assert_array_equal(load_shown(twelve, Fitted(FRAME, 12)), expected.shown)
    assert not caplog.records


def test_a_file_of_other_bits_is_named(twelve: Path, sixteen: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        load_image(twelve, Fitted(FRAME))
        load_image(sixteen, Fitted(FRAME, 12))
    assert "twelve.png: the values use 12 of 16 bits, so that the image is dark" in caplog.text
    assert "sixteen.png: the values use 16 bits, but those of the training images 12" in caplog.text


def test_an_array_that_uses_few_of_its_bits_is_warned_about(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        load_image(PIXELS, Fitted(FRAME))
    assert "the array: the values use 12 of 16 bits" in caplog.text


def test_a_run_keeps_the_bits_of_its_data(trained: Path, twelve: Path, sixteen: Path, tmp_path: Path):
    usual = predict(trained, [sixteen], tmp_path / "usual", overlays=False, engine="torch").table
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    path = next(path for path in run.glob("params_*_.txt") if path.name != "params_NetLearn_.txt")
    description = json.loads(path.read_text())
    assert description["used_bits"] == 16
    path.write_text(json.dumps({**description, "used_bits": 12}))
    assert open_network(run, "torch").framing.used_bits == 12
    found = predict(run, [twelve], tmp_path / "found", overlays=False, engine="torch").table
    columns = [name for name in found if name.startswith("probability_")]
    np.testing.assert_allclose(found[columns], usual[columns], atol=1e-6)
