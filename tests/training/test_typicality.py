"""Images unlike the training's: the limits, their marks, and the files that hold them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from ggcam.data.affine import Affine
from ggcam.data.image_statistics import image_statistics
from ggcam.errors import MissingFileError, RunFolderError
from ggcam.models.feature_distance import load_feature_distance
from ggcam.training.fit_typicality import RATE, fit_typicality
from ggcam.training.network_outputs import NetworkOutputs
from ggcam.training.typicality import load_typicality, save_typicality

SIZE = 64


def xray(rng, size=SIZE):
    """Two dark lungs on a bright body, with some noise."""
    y, x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    lungs = sum(
        np.exp(-(((x - centre) / 0.13) ** 2 + ((y - 0.45) / rng.uniform(0.25, 0.35)) ** 2)) for centre in (0.28, 0.72)
    )
    body = np.exp(-(((x - 0.5) / 0.6) ** 4)) * rng.uniform(0.7, 0.9)
    image = body - rng.uniform(0.5, 0.6) * lungs + rng.normal(0, 0.02, (size, size))
    return np.rint(np.clip(image, 0.02, 0.98) * 255).astype(np.uint8)


def statistics(images, raw_size=None, colour=0.0):
    return [image_statistics(image, raw_size or image.shape[:2], Affine(), colour) for image in images]


def outputs(count, seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 8)).astype(np.float32) * np.linspace(0.1, 3, 8, dtype=np.float32)
    return NetworkOutputs(np.zeros((count, 2)), features, statistics([xray(rng) for _ in range(count)]))


@pytest.fixture(scope="module")
def fitted():
    patients = np.array([f"p{each // 2}" for each in range(300)])
    return fit_typicality(outputs(300, 0), outputs(100, 1), patients)


def marks(fitted, image, **options):
    return set(fitted[0].marks(statistics([image], **options)[0]))


def test_images_like_the_training_images_are_rarely_marked(fitted):
    typicality, distance = fitted
    new = outputs(1000, 2)
    distances = distance.of_pooled(torch.from_numpy(new.features)).tolist()
    marked = [typicality.marks(*image) for image in zip(new.statistics, distances, strict=True)]
    assert np.mean([bool(each) for each in marked]) < 3 * RATE
    assert typicality.validation.cases == 100
    assert typicality.validation.marked <= 4
    assert typicality.cases == 300


@pytest.mark.parametrize(
    ("change", "mark"),
    [
        (lambda image: 255 - image, "inverted"),
        (lambda image: np.zeros_like(image), "brightness"),
        (lambda image: np.where(image > 90, 255, 0).astype(np.uint8), "extremes"),
        (lambda image: (image // 8 + 110).astype(np.uint8), "contrast"),
        (lambda image: np.random.default_rng(0).permuted(image.ravel()).reshape(image.shape), "detail"),
        (lambda image: np.roll(image, SIZE // 4, axis=1), "layout"),
        (lambda image: image[:, : SIZE // 2], "aspect"),
    ],
)
def test_each_kind_of_change_has_its_mark(fitted, change, mark):
    for seed in range(20):
        assert mark in marks(fitted, change(xray(np.random.default_rng(100 + seed))))


def test_colours_enlargement_and_features_have_their_marks(fitted):
    typicality, _ = fitted
    usual = statistics([xray(np.random.default_rng(7))])[0]
    assert typicality.marks(usual, distance=2.0) == {}
    assert set(typicality.marks(usual, distance=100.0)) == {"features"}
    assert set(typicality.marks(usual._replace(colour=0.2))) == {"colour"}
    assert typicality.marks(usual._replace(colour=np.nan)) == {}
    found = typicality.marks(usual._replace(enlargement=4.0))
    assert list(found) == ["enlargement"]
    assert found["enlargement"].startswith("enlarged to fill the frame by 4 (limit: at most 1.")


def test_unknown_colours_have_no_limits():
    train = outputs(60, 0)
    unknown = replace(train, statistics=[each._replace(colour=np.nan) for each in train.statistics])
    typicality, _ = fit_typicality(unknown, unknown, np.arange(60).astype(str))
    assert "colour" not in typicality.limits
    assert "colour" not in typicality.marks(train.statistics[0]._replace(colour=1.0))


def test_the_distance_of_a_network_that_fits_its_training_images_is_corrected():
    train, valid = outputs(200, 0), outputs(200, 1)
    wider = replace(valid, features=valid.features * 3)
    patients = np.arange(200).astype(str)
    usual, shifted = (fit_typicality(train, each, patients)[0].limits["features"].high for each in (valid, wider))
    assert usual is not None
    assert shifted == pytest.approx(3 * usual, rel=0.15)


def test_constant_features_are_no_fault():
    train = replace(outputs(40, 0), features=np.ones((40, 8), np.float32))
    typicality, distance = fit_typicality(train, train, np.arange(40).astype(str))
    assert typicality.validation.by_mark.get("features", 0) == 0
    assert np.isfinite(distance.whitening.numpy()).all()


def test_it_survives_the_files(fitted, tmp_path):
    path = tmp_path / "typicality.json"
    assert load_typicality(path) is None
    save_typicality(*fitted, path)
    assert load_typicality(path) == fitted[0]
    found = load_feature_distance(path, 8)
    assert {name: value.tolist() for name, value in found.state_dict().items()} == {
        name: value.tolist() for name, value in fitted[1].state_dict().items()
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layout": [0.0]}, "256 numbers"),
        ({"layout": "grey"}, "layout"),
        ({"limits": {"smell": {"low": None, "median": 0.0, "high": 1.0}}}, "smell"),
        ({"limits": {"aspect": {"low": "a", "median": 0.0, "high": 1.0}}}, "aspect"),
        ({"limits": {"aspect": {"low": None}}}, "aspect"),
        ({"cases": None}, "cases"),
        ({"more": 1}, "more"),
    ],
)
def test_a_damaged_file_is_refused(fitted, tmp_path, change, message):
    path = tmp_path / "typicality.json"
    save_typicality(*fitted, path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RunFolderError, match=message):
        load_typicality(path)


def test_a_damaged_archive_is_refused(fitted, tmp_path):
    path = tmp_path / "typicality.json"
    save_typicality(*fitted, path)
    with pytest.raises(RunFolderError, match="9 features"):
        load_feature_distance(path, 9)
    archive = path.with_suffix(".npz")
    archive.write_bytes(archive.read_bytes()[:100])
    with pytest.raises(RunFolderError, match="damaged"):
        load_feature_distance(path, 8)
    archive.unlink()
    with pytest.raises(MissingFileError):
        load_feature_distance(path, 8)


def test_a_view_that_the_training_images_lack_is_marked():
    patients = np.array([f"p{each}" for each in range(100)])
    train, valid = outputs(100, 0), outputs(20, 1)
    of_frontal, _ = fit_typicality(train, valid, patients, ("AP", "PA"))
    image = train.statistics[0]
    assert of_frontal.marks(image, view="LL")["view"] == "view LL (training images: AP, PA)"
    assert "view" not in {**of_frontal.marks(image, view="PA"), **of_frontal.marks(image)}
    assert "view" not in fit_typicality(train, valid, patients)[0].marks(image, view="LL")
