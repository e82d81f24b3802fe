import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ggcam.data.augment import change_images, change_points, draw_changes
from ggcam.data.augment_config import AugmentConfig

FRAME = (96, 64)
ALL = AugmentConfig(rotate_deg=20, shift=0.1, zoom=0.2)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(24, 71), st.integers(20, 43))
def test_the_image_and_the_points_move_together(seed, row, column):
    """A blob drawn at a fixation is found, after the change, where the fixation went."""
    image = torch.zeros(1, 1, *FRAME)
    image[0, 0, row - 2 : row + 3, column - 2 : column + 3] = 1.0
    change = draw_changes(ALL, torch.tensor([7]), FRAME, seed, epoch=2)
    x, y = change_points(torch.tensor([[[column + 0.5, row + 0.5]]]), change, FRAME)[0, 0].tolist()
    moved = change_images(image, change)[0, 0]
    rows, columns = torch.meshgrid(torch.arange(96) + 0.5, torch.arange(64) + 0.5, indexing="ij")
    found_x, found_y = ((moved * axis).sum() / moved.sum() for axis in (columns, rows))
    assert found_x.item() == pytest.approx(x, abs=0.5)
    assert found_y.item() == pytest.approx(y, abs=0.5)


def test_without_limits_nothing_changes():
    image = torch.rand(2, 1, *FRAME)
    change = draw_changes(AugmentConfig(), torch.tensor([0, 1]), FRAME, seed=0, epoch=0)
    torch.testing.assert_close(change_images(image, change), image, atol=1e-5, rtol=0)
    points = torch.rand(2, 5, 2) * 60
    torch.testing.assert_close(change_points(points, change, FRAME), points)
    assert not AugmentConfig().active


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_integers_come_out_as_floats_between_0_and_1(dtype):
    image = torch.full((1, 1, *FRAME), torch.iinfo(dtype).max // 2, dtype=torch.int32).to(dtype)
    change = draw_changes(AugmentConfig(contrast=0.5), torch.tensor([3]), FRAME, seed=0, epoch=0)
    changed = change_images(image, change)
    assert changed.dtype == torch.float32
    assert 0 <= changed.min() <= changed.max() <= 1


def test_the_change_of_a_case_depends_on_seed_epoch_and_case_alone():
    def drawn(rows, seed, epoch):
        return draw_changes(ALL, torch.tensor(rows), FRAME, seed, epoch).shift_px

    torch.testing.assert_close(drawn([4, 9], 1, 2)[1], drawn([9], 1, 2)[0])
    assert not torch.equal(drawn([9], 1, 2), drawn([9], 1, 3))
    assert not torch.equal(drawn([9], 1, 2), drawn([9], 2, 2))
    assert not torch.equal(drawn([9], 1, 2), drawn([8], 1, 2))


def test_changes_stay_within_their_limits():
    change = draw_changes(ALL, torch.arange(500), FRAME, seed=0, epoch=0)
    scale = torch.linalg.det(change.matrix).sqrt()
    assert scale.min() >= 1 / 1.2 - 1e-5
    assert scale.max() <= 1.2 + 1e-5
    assert change.shift_px[:, 0].abs().max() <= 6.4
    angle = torch.rad2deg(torch.atan2(change.matrix[:, 1, 0], change.matrix[:, 0, 0]))
    assert 15 < angle.abs().max() <= 20.001
