from __future__ import annotations

import numpy as np
import pytest

from ggcam.data.case import Frame
from ggcam.data.framing import Fitted, Strided
from ggcam.data.image_statistics import colourfulness, image_statistics


def blobs(height, width, seed=0):
    """A smooth picture: noise at low resolution, enlarged."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8))
    return np.kron(noise, np.ones((8, 8))).astype(np.uint8)


def statistics(image, channels=1):
    framing = Fitted(Frame(128, 128), channels=channels)
    return image_statistics(framing.image(image), image.shape[:2], framing.affine(*image.shape[:2]))


@pytest.mark.parametrize("size", [(128, 64), (64, 128), (32, 16), (512, 256)])
def test_margins_of_the_frame_do_not_count(size):
    height, width = size
    image = np.full(size, 200, np.uint8)
    image[: height // 2] = 100
    found = statistics(image)
    assert found.aspect == width / height
    assert found.extremes == 0
    assert found.contrast == pytest.approx(100 / 255, abs=0.02)
    assert found.enlargement == max(1, 128 / max(size))
    np.testing.assert_allclose(found.layout[:7], 100, atol=1)
    np.testing.assert_allclose(found.layout[9:], 200, atol=1)


def test_statistics_of_a_negative():
    image = blobs(128, 128)
    positive, negative = statistics(image), statistics(255 - image)
    assert negative.brightness == pytest.approx(1 - positive.brightness)
    assert negative.contrast == pytest.approx(positive.contrast)
    assert negative.detail == pytest.approx(positive.detail)
    np.testing.assert_array_equal(negative.layout, 255 - positive.layout)


def test_a_mask_is_black_and_white_and_noise_has_more_detail():
    mask = np.zeros((128, 128), np.uint8)
    mask[32:96, 32:96] = 255
    noise = np.random.default_rng(0).integers(0, 256, (128, 128), dtype=np.uint8)
    assert statistics(mask).extremes == 1
    assert statistics(noise).extremes < 0.1
    assert statistics(noise).detail > 5 * statistics(mask).detail


def test_a_uniform_image_has_no_detail_and_no_contrast():
    found = statistics(np.full((128, 128), 77, np.uint8))
    assert (found.detail, found.contrast) == (0, 0)
    assert found.brightness == pytest.approx(77 / 255)
    assert np.isnan(found.colour)


def test_colours_are_found_at_any_size():
    grey = np.repeat(blobs(64, 64)[..., None], 3, axis=2)
    tinted = np.stack([np.full((600, 400), value, np.uint8) for value in (200, 149, 100)], axis=2)
    assert colourfulness(grey) == colourfulness(grey[..., 0]) == 0
    assert colourfulness(tinted) == pytest.approx(100 / 255)
    assert statistics(tinted, channels=3).colour == pytest.approx(100 / 255)
    assert statistics(grey, channels=3).colour == 0


def test_strided_framing_crops():
    frame = Frame(32, 32)
    image = blobs(128, 96)
    framing = Strided(frame)
    framed = (framing.image(image) // 257).astype(np.uint8)
    found = image_statistics(framed, image.shape, framing.affine(*image.shape))
    assert found.aspect == 0.75
    assert found.enlargement == 1
    assert found.extremes < 0.5
