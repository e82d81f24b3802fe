"""The fast way to train gives the losses of the plain one: float32, three equal channels, every activation kept."""

from __future__ import annotations

import copy

import pytest
import torch

from ggcam.data.batches import Batch
from ggcam.guidance import create_guidance
from ggcam.models import original
from ggcam.models.cam import CAMClassifier
from ggcam.models.checkpointing import enable_gradient_checkpointing
from ggcam.training.config import TrainConfig
from ggcam.training.lightning_module import GuidedTraining

FRAME, STEPS = (64, 64), 3


@pytest.fixture(scope="module")
def start() -> CAMClassifier:
    torch.manual_seed(0)
    return original.create_classifier(original.NETWORKS["original-resnet-18"], num_classes=2)


@pytest.fixture(scope="module")
def batches() -> list[Batch]:
    generator = torch.Generator().manual_seed(1)

    def batch() -> Batch:
        points = 64 * torch.rand(4, 5, 2, generator=generator)
        image = torch.randint(0, 256, (4, 1, *FRAME), dtype=torch.uint8, generator=generator)
        label = torch.tensor([0, 1, 1, 0])
        unknown = torch.full_like(points, torch.nan)
        return Batch(image, label, points, torch.ones(4, 5), unknown, torch.arange(4), torch.full((4, 5), -1))

    return [batch() for _ in range(STEPS)]


def curve(start: CAMClassifier, batches: list[Batch], channels: int = 1, bf16: bool = False) -> torch.Tensor:
    """The loss of each batch in turn, trained on one after the other."""
    config = TrainConfig(guidance="ggcam", lr=1e-4, schedule="constant", optimizer="adam", weight_decay=0.0)
    module = GuidedTraining(copy.deepcopy(start), create_guidance("ggcam"), config, FRAME).train()
    optimizer = module.configure_optimizers()
    assert isinstance(optimizer, torch.optim.Adam)
    losses = []
    for batch in batches:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = module.compute_losses(batch._replace(image=batch.image.expand(-1, channels, -1, -1))).total
        module.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach())
    return torch.stack(losses)


@pytest.fixture(scope="module")
def plain(start: CAMClassifier, batches: list[Batch]) -> torch.Tensor:
    return curve(start, batches, channels=3)


def test_one_channel_and_recomputed_activations_change_rounding_alone(start, batches, plain):
    again = copy.deepcopy(start)
    enable_gradient_checkpointing(again.backbone)
    for fast in (curve(start, batches), curve(again, batches)):
        torch.testing.assert_close(fast[:1], plain[:1], rtol=1e-5, atol=1e-5)
        # Adam turns the rounding of a gradient near 0 into a whole step.
        torch.testing.assert_close(fast, plain, rtol=1e-3, atol=0)


def test_bfloat16_keeps_the_loss_curve(start, batches, plain):
    fast = curve(start, batches, bf16=True)
    other = curve(start, batches[1:] + batches[:1], channels=3)
    torch.testing.assert_close(fast, plain, rtol=0.02, atol=0)
    assert (fast - plain).abs().mean() < (other - plain).abs().mean()
