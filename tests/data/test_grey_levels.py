from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggcam.data.grey_levels import BLACK, FEW_LEVELS, INVERTED, MARKS, WHITE, GreyLevels, find_marks
from ggcam.data.images import read_image
from ggcam.data.pixel_arrays import to_uint8

ROWS, COLUMNS = np.mgrid[0:60, 0:48]
CHEST = (120 + 90 * np.sin(COLUMNS / 8) + 40 * np.cos(ROWS / 11)).clip(0, 255)


def alike(seed: int, noise: float = 20) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (CHEST * rng.uniform(0.7, 1) + rng.normal(0, noise, CHEST.shape)).clip(0, 255).astype(np.uint8)


def marks(*images: np.ndarray) -> list[tuple[str, ...]]:
    named = {str(number): GreyLevels.from_image(image) for number, image in enumerate(images)}
    found = find_marks(named)
    return [found.get(name, ()) for name in named]


def test_the_summary_counts_values_and_finds_the_ends():
    image = np.repeat(np.arange(100, dtype=np.uint8), 100).reshape(100, 100)
    levels = GreyLevels.from_image(image)
    assert levels.count == 100
    assert levels.dark == pytest.approx(4.5, abs=0.5)
    assert levels.bright == pytest.approx(94.5, abs=0.5)
    assert len(levels.thumbnail) == 144


def test_ordinary_images_have_no_mark():
    assert marks(*map(alike, range(8))) == [()] * 8


@pytest.mark.parametrize("inverted", [1, 3])
def test_inverted_images_are_found_among_others(inverted: int):
    images = [255 - alike(seed) if seed < inverted else alike(seed) for seed in range(8)]
    assert marks(*images) == [(INVERTED,)] * inverted + [()] * (8 - inverted)


def test_images_that_are_not_alike_are_never_inverted():
    rng = np.random.default_rng(0)
    blocks = [rng.integers(0, 256, (12, 12)).astype(np.uint8) for _ in range(30)]
    assert not any(
        INVERTED in found for found in marks(*(np.kron(block, np.ones((5, 5), np.uint8)) for block in blocks))
    )
    assert marks(alike(0), 255 - alike(1)) == [(), ()]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (alike(0) // 16, (FEW_LEVELS, BLACK)),
        (alike(0) // 16 + 239, (FEW_LEVELS, WHITE)),
        (alike(0) // 8 * 8, (FEW_LEVELS,)),
        (np.zeros((60, 48), np.uint8), (FEW_LEVELS, BLACK)),
    ],
    ids=["black", "white", "posterised", "blank"],
)
def test_dark_bright_and_posterised_images_are_marked(image: np.ndarray, expected: tuple[str, ...]):
    assert marks(image, *map(alike, range(4)))[0] == expected


def test_a_bright_letter_does_not_hide_a_black_image():
    image = alike(0) // 16
    image[2:8, 2:8] = 255
    assert BLACK in marks(image)[0]


@given(st.integers(0, 1000), st.floats(0.2, 1), st.integers(0, 40))
def test_brightness_and_contrast_do_not_invert(seed: int, contrast: float, brightness: int):
    changed = (alike(seed) * contrast + brightness).clip(0, 255).astype(np.uint8)
    assert not any(INVERTED in found for found in marks(changed, *map(alike, range(4))))


def test_no_marks_of_no_images():
    assert find_marks({}) == {}
    assert set(MARKS) == {FEW_LEVELS, BLACK, WHITE, INVERTED}


@pytest.mark.parametrize("folder", ["adult_lung_masks", "paediatric_pneumonia/viral"])
def test_real_x_rays_have_no_mark_and_are_found_when_inverted(real_data, folder: str):
    paths = sorted(path for path in (real_data / folder).iterdir() if path.suffix in (".png", ".jpg", ".jpeg"))
    images = [to_uint8(read_image(path)) for path in paths if "lung" not in path.name][:60]
    assert marks(*images) == [()] * len(images)
    found = marks(*(255 - image for image in images[:5]), *images[5:])
    assert sum(INVERTED in each for each in found[:5]) >= 4
    assert not any(found[5:])
