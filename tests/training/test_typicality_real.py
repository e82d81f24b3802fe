"""Real X-rays, masks and photographs: what the statistics of an image alone find, without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from ggcam.data.case import Frame
from ggcam.data.framing import Fitted
from ggcam.data.image_statistics import ImageStatistics, colourfulness, image_statistics
from ggcam.data.images import read_pixels
from ggcam.data.pixel_arrays import to_channels, to_uint8
from ggcam.training.fit_typicality import fit_typicality
from ggcam.training.network_outputs import NetworkOutputs
from ggcam.training.typicality import Typicality

FRAMING = Fitted(Frame(96, 96))


def describe(path: Path, change: Callable[[np.ndarray], np.ndarray] = lambda image: image) -> ImageStatistics:
    pixels = to_uint8(read_pixels(path, channels=3))
    grey = change(to_channels(pixels, 1))
    size = (grey.shape[0], grey.shape[1])
    return image_statistics(FRAMING.image(grey), size, FRAMING.affine(*size), colourfulness(pixels))


def fit(statistics: list[ImageStatistics], patients: Iterable[str]) -> Typicality:
    outputs = NetworkOutputs(np.zeros((len(statistics), 2)), np.zeros((len(statistics), 1), np.float32), statistics)
    return fit_typicality(outputs, outputs, np.array(list(patients)))[0]


@pytest.fixture(scope="module")
def nih(real_data: Path) -> list[Path]:
    return sorted((real_data / "nih_boxes/images").glob("*.jpg"))[::4]


@pytest.fixture(scope="module")
def paediatric(real_data: Path) -> list[Path]:
    return sorted((real_data / "paediatric_pneumonia").glob("*/*.jp*g"))[::3]


@pytest.fixture(scope="module", params=["nih", "paediatric"])
def xrays(request: pytest.FixtureRequest) -> tuple[Typicality, list[Path]]:
    """Limits chosen on two of three X-rays, and the other X-rays, of other patients where files tell them."""
    files: list[Path] = request.getfixturevalue(request.param)
    patient = [path.stem.split("_")[0] for path in files]
    held_out = {name for number, name in enumerate(sorted(set(patient))) if number % 3 == 0}
    train = [path for path, name in zip(files, patient, strict=True) if name not in held_out]
    test = [path for path, name in zip(files, patient, strict=True) if name in held_out]
    return fit([describe(path) for path in train], (path.stem for path in train)), test


def share(typicality: Typicality, images: Iterable[ImageStatistics], mark: str | None = None) -> float:
    marked = [typicality.marks(image) for image in images]
    return float(np.mean([bool(each) if mark is None else mark in each for each in marked]))


def test_other_xrays_of_the_same_data_are_rarely_marked(xrays):
    typicality, test = xrays
    assert len(test) > 50
    assert share(typicality, map(describe, test)) <= 0.05


def test_inverted_xrays_are_marked(xrays):
    typicality, test = xrays
    assert share(typicality, (describe(path, lambda image: 255 - image) for path in test), "inverted") >= 0.97


def test_masks_are_marked(xrays, real_data):
    masks = sorted((real_data / "adult_lung_masks").glob("*_lung.png"))[::4]
    assert share(xrays[0], map(describe, masks), "extremes") == 1


def test_photographs_are_marked_most_of_them_for_their_colours(xrays, real_data):
    photographs = [describe(path) for path in sorted((real_data / "poet/images").rglob("*.jpg"))[::40]]
    assert share(xrays[0], photographs) >= 0.97
    assert share(xrays[0], photographs, "colour") >= 0.85
