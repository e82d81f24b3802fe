"""The crop is where the attention is, and inside the image."""

from __future__ import annotations

import pytest
import torch

from ggcam.gaze.batch import GazeBatch
from ggcam.gaze.regions import RegionBatch
from ggcam.guidance import create_guidance
from ggcam.models.cam import CAMOutput
from guidance.examples import FRAME


class Seen:
    """A network that keeps the images that it is called with."""

    def __call__(self, image: torch.Tensor) -> CAMOutput:
        self.image = image
        return CAMOutput(torch.zeros(len(image), 2), torch.zeros(len(image), 2, 8, 6), torch.zeros(len(image), 1, 8, 6))


def cropped(image: torch.Tensor, attention: GazeBatch | RegionBatch, **options: float) -> torch.Tensor:
    network, guidance = Seen(), create_guidance("gaze-crop", options=options)
    guidance.forward_pass(network, image, torch.zeros(len(image), dtype=torch.long), attention)
    return network.image


def square(top: int, left: int, height: int, width: int) -> tuple[torch.Tensor, RegionBatch]:
    """A bright rectangle in a dark image, and attention that is spread evenly over it."""
    image = torch.zeros(1, 1, *FRAME, dtype=torch.uint8)
    image[0, 0, top : top + height, left : left + width] = 255
    return image, RegionBatch((image > 0).float(), torch.tensor([[-1]]))


@pytest.mark.parametrize(("top", "left"), [(16, 12), (0, 0), (32, 24), (0, 24), (20, 5)])
def test_a_bright_square_that_is_looked_at_fills_the_crop(top, left):
    """Two standard deviations of an even spread reach beyond its border, by a factor of 2 / sqrt(3) = 1.15."""
    image, attention = square(top, left, 32, 24)
    found = cropped(image, attention, probability=1.0, smallest=0.5)
    assert found[..., 16:48, 12:36].min() > 0.99
    assert image.float().mean() / 255 == 0.25
    assert found.mean().item() == pytest.approx(1 / 1.15**2, abs=0.05)


def test_a_crop_never_reaches_outside_the_image():
    """Outside, sampling would find zeros in a bright image."""
    bright = torch.full((5, 1, *FRAME), 255, dtype=torch.uint8)
    corners = torch.tensor([[0.0, 0.0], [47.9, 0.0], [0.0, 63.9], [47.9, 63.9], [24.0, 32.0]])[:, None]
    gaze = GazeBatch(corners, torch.ones(5, 1), torch.full((5, 1, 2), 3.0), FRAME)
    for smallest in (0.05, 0.5, 1.0):
        found = cropped(bright, gaze, probability=1.0, smallest=smallest)
        torch.testing.assert_close(found, torch.ones_like(found), atol=1e-4, rtol=0)


def test_attention_everywhere_or_a_smallest_crop_of_1_keeps_the_whole_image():
    image = torch.randint(0, 256, (1, 1, *FRAME), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = image.float() / 255
    even = RegionBatch(torch.ones(1, 1, *FRAME), torch.tensor([[-1]]))
    torch.testing.assert_close(cropped(image, even, probability=1.0), expected, atol=1e-3, rtol=0)
    _, attention = square(0, 0, 8, 8)
    torch.testing.assert_close(cropped(image, attention, probability=1.0, smallest=1.0), expected, atol=1e-3, rtol=0)


def test_the_probability_is_that_of_a_case_with_attention():
    torch.manual_seed(0)
    image = torch.zeros(400, 1, *FRAME, dtype=torch.uint8)
    image[:, :, :32, :24] = 255
    gaze = GazeBatch(torch.full((400, 1, 2), 4.0), torch.ones(400, 1), torch.full((400, 1, 2), 3.0), FRAME)
    gaze.weight[200:] = 0
    changed = (cropped(image, gaze, probability=0.25) != image / 255).flatten(1).any(dim=1)
    assert 30 <= changed[:200].sum() <= 70
    assert not changed[200:].any()
    assert not (cropped(image, gaze, probability=0.0) != image / 255).any()
