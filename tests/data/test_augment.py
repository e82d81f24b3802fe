import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ggcam.data.augment import (
    Augmentation,
    _inverse,
    augment_images,
    augment_maps,
    augment_points,
    draw_augmentations,
    scale_factor,
)
from ggcam.data.augment_config import AugmentConfig

FRAME = (96, 64)
LIMITS = AugmentConfig(rotate_deg=20, shift=0.1, zoom=0.2)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(24, 71), st.integers(20, 43))
def test_images_and_points_move_together(seed, row, column):
    """After the augmentation, a blob at a fixation is found at the new position of the fixation."""
    image = torch.zeros(1, 1, *FRAME)
    image[0, 0, row - 2 : row + 3, column - 2 : column + 3] = 1.0
    augmentation = draw_augmentations(LIMITS, torch.tensor([7]), FRAME, seed, epoch=2)
    x, y = augment_points(torch.tensor([[[column + 0.5, row + 0.5]]]), augmentation, FRAME)[0, 0].tolist()
    moved = augment_images(image, augmentation)[0, 0]
    rows, columns = torch.meshgrid(torch.arange(96) + 0.5, torch.arange(64) + 0.5, indexing="ij")
    found_x, found_y = ((moved * axis).sum() / moved.sum() for axis in (columns, rows))
    assert found_x.item() == pytest.approx(x, abs=0.5)
    assert found_y.item() == pytest.approx(y, abs=0.5)


def test_colours_are_augmented_like_each_of_their_channels():
    image = 0.1 + 0.9 * torch.rand(2, 3, *FRAME)
    config = AugmentConfig(rotate_deg=20, shift=0.1, zoom=0.2, contrast=0.5)
    augmentation = draw_augmentations(config, torch.tensor([4, 5]), FRAME, seed=1, epoch=3)
    alone = [augment_images(image[:, channel : channel + 1], augmentation) for channel in range(3)]
    torch.testing.assert_close(augment_images(image, augmentation), torch.cat(alone, dim=1))


def test_a_pure_colour_becomes_brighter_in_all_channels_and_the_padding_stays_black():
    image = torch.zeros(1, 3, *FRAME)
    image[:, 0] = 0.5
    augmentation = Augmentation(torch.eye(2)[None], torch.tensor([[20.0, 0.0]]), torch.ones(1), torch.full((1,), 0.2))
    moved = augment_images(image, augmentation)
    torch.testing.assert_close(moved[0, :, 48, 40], torch.tensor([0.7, 0.2, 0.2]))
    assert (moved[..., :19] == 0).all()


def test_the_default_configuration_changes_nothing():
    image = torch.rand(2, 1, *FRAME)
    augmentation = draw_augmentations(AugmentConfig(), torch.tensor([0, 1]), FRAME, seed=0, epoch=0)
    torch.testing.assert_close(augment_images(image, augmentation), image, atol=1e-5, rtol=0)
    points = torch.rand(2, 5, 2) * 60
    torch.testing.assert_close(augment_points(points, augmentation, FRAME), points)
    assert not AugmentConfig().active


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_integer_images_become_floats_from_0_to_1(dtype):
    image = torch.full((1, 1, *FRAME), torch.iinfo(dtype).max // 2, dtype=torch.int32).to(dtype)
    augmentation = draw_augmentations(AugmentConfig(contrast=0.5), torch.tensor([3]), FRAME, seed=0, epoch=0)
    changed = augment_images(image, augmentation)
    assert changed.dtype == torch.float32
    assert 0 <= changed.min() <= changed.max() <= 1


def test_augmentation_depends_only_on_seed_epoch_and_case():
    def draw_shifts(rows, seed, epoch):
        return draw_augmentations(LIMITS, torch.tensor(rows), FRAME, seed, epoch).shift_px

    torch.testing.assert_close(draw_shifts([4, 9], 1, 2)[1], draw_shifts([9], 1, 2)[0])
    assert not torch.equal(draw_shifts([9], 1, 2), draw_shifts([9], 1, 3))
    assert not torch.equal(draw_shifts([9], 1, 2), draw_shifts([9], 2, 2))
    assert not torch.equal(draw_shifts([9], 1, 2), draw_shifts([8], 1, 2))


def test_augmentations_stay_within_their_limits():
    augmentation = draw_augmentations(LIMITS, torch.arange(500), FRAME, seed=0, epoch=0)
    scale = torch.linalg.det(augmentation.matrix).sqrt()
    assert scale.min() >= 1 / 1.2 - 1e-5
    assert scale.max() <= 1.2 + 1e-5
    assert augmentation.shift_px[:, 0].abs().max() <= 6.4
    angle = torch.rad2deg(torch.atan2(augmentation.matrix[:, 1, 0], augmentation.matrix[:, 0, 0]))
    assert 15 < angle.abs().max() <= 20.001


@given(
    st.lists(st.floats(-2, 2, width=32), min_size=4, max_size=4).filter(lambda m: abs(m[0] * m[3] - m[1] * m[2]) > 0.1)
)
def test_inverse_and_scale_factor_equal_those_of_linear_algebra(entries):
    matrix = torch.tensor(entries).reshape(1, 2, 2)
    torch.testing.assert_close(_inverse(matrix), torch.linalg.inv(matrix), atol=1e-4, rtol=1e-5)
    augmentation = Augmentation(matrix, torch.zeros(1, 2), torch.ones(1), torch.zeros(1))
    torch.testing.assert_close(scale_factor(augmentation), torch.linalg.det(matrix).sqrt(), equal_nan=True)


@given(st.integers(0, 1000), st.floats(20, 70), st.floats(20, 40))
@settings(max_examples=25)
def test_maps_and_points_move_together(seed, x, y):
    frame, config = (64, 96), AugmentConfig(rotate_deg=10, shift=0.1, zoom=0.1)
    drawn = draw_augmentations(config, torch.tensor([0]), frame, seed, 0)
    rows, columns = torch.meshgrid(torch.arange(16) + 0.5, torch.arange(24) + 0.5, indexing="ij")
    maps = torch.exp(-((columns * 4 - x) ** 2 + (rows * 4 - y) ** 2) / (2 * 6**2))[None, None]
    moved = augment_maps(maps, drawn, frame)[0, 0]
    expected = augment_points(torch.tensor([[[x, y]]]), drawn, frame)[0, 0]
    inside = (expected > 20).all() and expected[0] < 76 and expected[1] < 44
    if inside:
        centre = torch.stack([(columns * moved).sum(), (rows * moved).sum()]) / moved.sum() * 4
        torch.testing.assert_close(centre, expected, atol=0.5, rtol=0)
