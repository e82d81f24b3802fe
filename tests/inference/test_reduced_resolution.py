"""Large images decoded at a lower resolution: the same answers within a tolerance, in pixels of the whole image."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless

from data.dicom_fixture import make_dicom
from ggcam import Predictor, load_predictor
from ggcam.data.case import Frame
from ggcam.data.framing import Fitted, Framing, Strided
from ggcam.data.images import read_image
from ggcam.data.pixel_arrays import to_uint8
from ggcam.errors import ImageError
from ggcam.inference.image_input import load_image

SIZE = 2401, 2065
"""Odd sides, of which at least 1,024 pixels remain when they are halved."""

PROBABILITY, CAM = 0.01, 0.03
"""Largest differences of the tests' network: of probabilities, and of CAMs as a share of their range."""


def enlarge(image: np.ndarray, seed: int) -> np.ndarray:
    """Enlarge an 8-bit image to 12 bits with the noise of a detector."""
    large = cv2.resize(image, SIZE[::-1], interpolation=cv2.INTER_CUBIC).astype(np.float32) * 15
    noise = np.random.default_rng(seed).normal(0, 20, large.shape)
    return np.clip(large + 100 + noise, 0, 4095).astype(np.uint16)


def write_j2k(path: Path, pixels: np.ndarray, **attributes) -> Path:
    dataset = make_dicom(pixels, WindowCenter=2048, WindowWidth=4096, **attributes)
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_jpeg(path: Path, pixels: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return path


@pytest.fixture(scope="module")
def x_rays(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Simulated X-rays at the size of real ones: JPEG 2000 of either polarity, and JPEG."""
    folder = tmp_path_factory.mktemp("x_rays")
    sources = sorted(path for path in simulated.rglob("*") if path.suffix in (".dcm", ".png", ".jpg"))[:3]
    first, second, third = (enlarge(to_uint8(read_image(path)), seed) for seed, path in enumerate(sources))
    return [
        write_j2k(folder / "first.dcm", first),
        write_j2k(folder / "second.dcm", 4095 - second, PhotometricInterpretation="MONOCHROME1"),
        write_jpeg(folder / "third.jpg", (third >> 4).astype(np.uint8)),
    ]


def difference(whole: Predictor, reduced: Predictor, path: Path) -> tuple[float, float]:
    """Return the largest differences of the probabilities, and of the CAMs as a share of their range."""
    a, b = whole(path), reduced(path)
    assert a.image_size == b.image_size
    probabilities = max(abs(a.probabilities[name] - b.probabilities[name]) for name in a.probabilities)
    cams = max(np.abs(a.cam_grid[name] - b.cam_grid[name]).max() / np.ptp(a.cam_grid[name]) for name in a.cam_grid)
    return probabilities, float(cams)


def test_probabilities_and_cams_stay_within_the_tolerance(trained: Path, x_rays: list[Path]):
    whole, reduced = (load_predictor(trained, engine="torch", reduced_resolution=lower) for lower in (False, True))
    found = [difference(whole, reduced, path) for path in x_rays]
    assert max(probability for probability, _ in found) <= PROBABILITY
    assert max(cam for _, cam in found) <= CAM
    assert min(cam for _, cam in found) > 0  # it was decoded in another way


def test_the_frame_the_overlay_and_the_coordinates_are_those_of_the_whole_image(x_rays: list[Path]):
    for path in x_rays:
        whole, reduced = (load_image(path, Fitted(Frame(512, 448)), lower) for lower in (False, True))
        assert whole.image_size == reduced.image_size == SIZE
        assert whole.shown.shape == reduced.shown.shape == (1024, 881)
        assert whole.shown.dtype == reduced.shown.dtype
        for a, b in ((whole.framed, reduced.framed), (whole.shown / 257, reduced.shown / 257)):
            assert 0 < np.abs(a.astype(float) - b).mean() <= 1


def test_a_mark_stays_where_it_is(tmp_path: Path):
    pixels = np.full(SIZE, 500, np.uint16)
    pixels[1800:1900, 300:380] = 3500
    path = write_j2k(tmp_path / "x.dcm", pixels)
    centres = []
    for lower in (False, True):
        moments = cv2.moments(np.maximum(load_image(path, Fitted(Frame(512, 448)), lower).framed, 40) - np.uint8(40))
        centres.append((moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]))
    np.testing.assert_allclose(centres[0], centres[1], atol=0.15)


@pytest.mark.parametrize(
    ("framing", "size", "suffix"),
    [
        (Strided(Frame(1536, 1280)), SIZE, ".jpg"),
        (Fitted(Frame(1536, 1280)), SIZE, ".jpg"),
        (Fitted(Frame(64, 64)), (2047, 1800), ".jpg"),
        (Fitted(Frame(64, 64)), SIZE, ".png"),
        (Fitted(Frame(64, 64)), SIZE, ".tif"),
    ],
    ids=["every second pixel", "large frame", "small image", "PNG", "TIFF"],
)
def test_nothing_changes_where_all_pixels_are_needed(tmp_path: Path, framing: Framing, size, suffix):
    pixels = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)
    path = tmp_path / f"x{suffix}"
    assert cv2.imwrite(str(path), pixels)
    whole, reduced = (load_image(path, framing, lower) for lower in (False, True))
    np.testing.assert_array_equal(whole.framed, reduced.framed)
    np.testing.assert_array_equal(whole.shown, reduced.shown)


def test_a_photograph_keeps_its_colours(tmp_path: Path):
    rng = np.random.default_rng(4)
    colours = cv2.resize(rng.integers(0, 256, (30, 26, 3)).astype(np.uint8), SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    path = write_jpeg(tmp_path / "x.jpg", colours)
    whole, reduced = (load_image(path, Fitted(Frame(64, 64), channels=3), lower) for lower in (False, True))
    assert np.abs(whole.framed.astype(int) - reduced.framed).mean() <= 1
    assert whole.statistics.colour == pytest.approx(reduced.statistics.colour, abs=0.01)
    grey = [load_image(path, Fitted(Frame(64, 64)), lower) for lower in (False, True)]
    assert grey[0].statistics.colour == pytest.approx(grey[1].statistics.colour, abs=0.01)


def test_a_truncated_file_has_the_same_error(x_rays: list[Path], tmp_path: Path):
    for path in x_rays:
        cut = tmp_path / path.name
        cut.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        errors = []
        for lower in (False, True):
            with pytest.raises(ImageError) as caught:
                load_image(cut, Fitted(Frame(64, 64)), lower)
            errors.append(str(caught.value))
        assert errors[0] == errors[1]
        assert path.name in errors[0]
