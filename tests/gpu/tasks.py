"""One training step, the same on every device: a model, a batch, and what comes of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor
from torch.nn import functional

from ggcam.data.augment import draw_augmentations
from ggcam.data.augment_config import AugmentConfig
from ggcam.data.batches import Batch
from ggcam.guidance import create_guidance
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier, CAMOutput
from ggcam.training.config import TrainConfig
from ggcam.training.lightning_module import GuidedTraining

CLASSES, POINTS = 3, 40


class StepResult(NamedTuple):
    """What a training step yields, on the CPU."""

    logits: Tensor
    cam: Tensor
    loss: Tensor
    gradient: Tensor


def make_batch(frame: tuple[int, int], multi_label: bool, size: int = 4) -> Batch:
    """Draw images of soft spots, and gaze; the last case has no gaze.

    Contrast stays as it is, since augmentation of it jumps where an image ends, which rounding may move.
    """
    random = torch.Generator().manual_seed(0)
    points = torch.rand(size, POINTS, 2, generator=random) * torch.tensor([frame[1], frame[0]])
    duration = torch.rand(size, POINTS, generator=random)
    duration[-1] = 0
    several = torch.randint(0, 2, (size, CLASSES), generator=random).float()
    several[0] = torch.tensor([1, torch.nan, 1])
    spots = torch.rand(size, 1, 6, 5, generator=random)
    images = functional.interpolate(spots, frame, mode="bilinear") * 255
    augment = AugmentConfig(rotate_deg=10, shift=0.05, zoom=0.1)
    return Batch(
        image=images.to(torch.uint8),
        label=several if multi_label else torch.arange(size) % CLASSES,
        points_px=points,
        duration_s=duration,
        px_per_degree=torch.full_like(points, torch.nan),
        row=torch.arange(size),
        point_label=torch.randint(-1, CLASSES, (size, POINTS), generator=random),
        present=torch.nonzero(several == 1) if multi_label else None,
        augmentation=draw_augmentations(augment, torch.arange(size), frame, seed=0, epoch=0),
    )


def make_module(network: str, frame: tuple[int, int], guidance: str) -> GuidedTraining:
    """Build a model with the same fresh weights each time."""
    torch.manual_seed(1)
    model = CAMClassifier(create_backbone(network, frame), CLASSES)
    return GuidedTraining(model, create_guidance(guidance), TrainConfig(guidance=guidance), frame)


def take_step(module: GuidedTraining, batch: Batch, device: str, bf16: bool = False) -> StepResult:
    """Compute a loss and its gradients on a device."""
    module, batch = module.to(device), move_data_to_device(batch, torch.device(device))
    outputs: list[CAMOutput] = []
    handle = module.model.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    with torch.autocast(device, torch.bfloat16, enabled=bf16):
        loss = module.compute_losses(batch).total
    handle.remove()
    loss.backward()
    gradient = torch.cat([p.grad.flatten().float() for p in module.parameters() if p.grad is not None])
    parts = (outputs[0].logits, outputs[0].cam, loss, gradient)
    return StepResult(*(part.detach().cpu() for part in parts))


def difference(found: Tensor, expected: Tensor) -> float:
    """Return the norm of the difference as a share of the norm of what is expected."""
    return float((found.double() - expected.double()).norm() / expected.double().norm())
