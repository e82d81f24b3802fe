"""The learning rate schedule, and the gaze of a training step."""

from __future__ import annotations

import math

import pytest
import torch

from ggcam.data.augment import Augmentation, draw_augmentations
from ggcam.data.augment_config import AugmentConfig
from ggcam.data.batches import Batch
from ggcam.gaze.visual_angle import FALLBACK_IMAGE_SIDE_DEG
from ggcam.guidance import create_guidance
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier
from ggcam.training.config import TrainConfig
from ggcam.training.lightning_module import WARM_UP, GuidedTraining, cosine_factor


def test_the_rate_rises_to_its_peak_and_falls_to_nothing():
    steps = 400
    rate = [cosine_factor(step, steps) for step in range(steps + 1)]
    top = rate.index(max(rate))
    assert max(rate) == 1
    assert top == round(WARM_UP * steps) - 1
    assert rate[: top + 1] == sorted(rate[: top + 1])
    assert rate[top + 1 :] == sorted(rate[top + 1 :], reverse=True)
    assert rate[-1] == pytest.approx(0, abs=1e-12)
    middle = (steps + round(WARM_UP * steps)) // 2
    assert rate[middle] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_shortest_trainings_have_a_rate(steps: int):
    assert all(
        math.isfinite(cosine_factor(step, steps)) and cosine_factor(step, steps) >= 0 for step in range(steps + 1)
    )
    assert cosine_factor(0, steps) > 0


FRAME = (64, 96)


def module(**options) -> GuidedTraining:
    model = CAMClassifier(create_backbone("test_resnet", FRAME), 2)
    return GuidedTraining(model, create_guidance("none"), TrainConfig(**options), FRAME)


def batch(px_per_degree: torch.Tensor) -> Batch:
    points = torch.zeros(1, 3, 2)
    return Batch(
        image=torch.zeros(1, 1, *FRAME, dtype=torch.uint8),
        label=torch.tensor([0]),
        points_px=points,
        duration_s=torch.ones(1, 3),
        px_per_degree=px_per_degree,
        row=torch.tensor([0]),
        point_label=torch.full((1, 3), -1),
    )


def test_the_blur_is_in_degrees_of_each_fixation_or_in_pixels_of_the_frame():
    known = torch.tensor([[[10.0, 20.0], [30.0, 40.0], [math.nan, math.nan]]])
    fallback = max(FRAME) / FALLBACK_IMAGE_SIDE_DEG
    data = batch(known)
    sigma = module(sigma_deg=0.5).build_attention(data).sigma_px
    expected = 0.5 * torch.tensor([[[10.0, 20.0], [30.0, 40.0], [fallback, fallback]]])
    torch.testing.assert_close(sigma, expected)
    assert (module(sigma_px=3.0).build_attention(data).sigma_px == 3.0).all()


def test_a_change_that_enlarges_the_image_enlarges_the_blur():
    data = batch(torch.ones(1, 3, 2))
    turned = 2 * torch.tensor([[[0.0, -1.0], [1.0, 0.0]]])
    change = Augmentation(turned, torch.zeros(1, 2), torch.ones(1), torch.zeros(1))
    gaze = module(sigma_px=3.0).build_attention(data._replace(augmentation=change))
    torch.testing.assert_close(gaze.sigma_px, torch.full((1, 3, 2), 6.0))


def test_an_augmentation_moves_regions_and_cases_without_gaze_are_guided_by_them():
    data = batch(torch.ones(1, 3, 2))
    maps = torch.zeros(1, 1, 16, 24)
    maps[0, 0, 4:8, 4:8] = 1
    shifted = Augmentation(torch.eye(2)[None], torch.tensor([[16.0, 8.0]]), torch.ones(1), torch.zeros(1))
    data = data._replace(
        duration_s=torch.zeros(1, 3), region_maps=maps, region_label=torch.tensor([[-1]]), augmentation=shifted
    )
    density = module().build_attention(data).density((16, 24))
    torch.testing.assert_close(density, maps[:, 0].roll((2, 4), (1, 2)) / 16)


def test_the_augmentation_of_a_training_batch_is_drawn_before_it_is_copied_to_the_device():
    data, augment = batch(torch.ones(1, 3, 2)), AugmentConfig(rotate_deg=5, shift=0.1)
    training = module(augment=augment, seed=3)
    drawn = training.on_before_batch_transfer(data, 0).augmentation
    expected = draw_augmentations(augment, data.row, FRAME, seed=3, epoch=0)
    assert drawn is not None
    assert all(torch.equal(one, other) for one, other in zip(drawn, expected, strict=True))
    assert module().on_before_batch_transfer(data, 0).augmentation is None
    assert training.eval().on_before_batch_transfer(data, 0).augmentation is None
