"""Implementations of a training step: the original's, a plain network's, and ours; on any device."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import NamedTuple

import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor, nn
from torch.nn import functional

from ggcam.data.batches import Batch
from ggcam.gaze.maps import as_peak
from ggcam.guidance import create_guidance
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier
from ggcam.models.checkpointing import enable_gradient_checkpointing
from ggcam.training.config import TrainConfig
from ggcam.training.lightning_module import GuidedTraining
from ggcam.utils.freed_memory import all_freed_memory_kept

NETWORKS = ("original-resnet-50", "original-effnet-s", "resnet50", "tf_efficientnetv2_s")
FIXATIONS = 60


class Task(NamedTuple):
    """What is trained on what, the same for every way.

    Attributes:
        network: name of the backbone.
        frame: height and width of the images in pixels.
        batch_size: images a step.
        device: where to compute.
    """

    network: str
    frame: tuple[int, int]
    batch_size: int
    device: str = "cpu"

    def batch(self) -> Batch:
        """Random images, and as many fixations as a case of EGD-CXR has."""
        size = self.batch_size
        points = torch.rand(size, FIXATIONS, 2) * torch.tensor([self.frame[1], self.frame[0]])
        batch = Batch(
            image=torch.randint(0, 256, (size, 1, *self.frame), dtype=torch.uint8),
            label=torch.arange(size) % 3,
            points_px=points,
            duration_s=torch.rand(size, FIXATIONS),
            px_per_degree=torch.full_like(points, torch.nan),
            row=torch.arange(size),
            point_label=torch.full((size, FIXATIONS), -1),
        )
        return move_data_to_device(batch, torch.device(self.device))

    def model(self, channels: int = 1) -> CAMClassifier:
        """Fresh; of the original's networks the same whatever the channels."""
        backbone = create_backbone(self.network, self.frame, in_channels=channels)
        reduction = "mean" if self.network.startswith("original") else "sum"
        return CAMClassifier(backbone, 3, reduction).to(self.device).train()


def ours(
    task: Task, bf16: bool = True, checkpointing: bool = False, compile_network: bool = False
) -> Callable[[], None]:
    """As in `ggcam train`, but freed memory is kept within a step alone, so that the other ways run without it."""
    config = TrainConfig(
        guidance="ggcam",
        optimizer="adam",
        weight_decay=0.0,
        schedule="constant",
        checkpointing=checkpointing,
        compile=compile_network,
    )
    model = task.model().to(memory_format=torch.channels_last)
    if checkpointing:
        enable_gradient_checkpointing(model.backbone)
    module = GuidedTraining(model, create_guidance("ggcam"), config, task.frame).to(task.device)
    optimizer, batch = module.configure_optimizers(), task.batch()
    assert isinstance(optimizer, torch.optim.Optimizer)

    def step() -> None:
        with all_freed_memory_kept() if task.device == "cpu" and not checkpointing else nullcontext():
            with torch.autocast(task.device, torch.bfloat16, enabled=bf16):
                loss = module.compute_losses(batch).total
            module.backward(loss)
            optimizer.step()
            optimizer.zero_grad()

    return step


def originals(task: Task) -> Callable[[], None]:
    """As in the original code: float32, three equal channels, and a loop over the cases for the gaze."""
    model, batch = task.model(channels=3), task.batch()
    image = batch.image.float().expand(-1, 3, -1, -1).contiguous() / 255
    grid = (task.frame[0] // 32, task.frame[1] // 32)
    gaze = as_peak(torch.rand(task.batch_size, *grid, device=task.device))  # the original reads its maps from files
    scales = [nn.Parameter(torch.zeros((), device=task.device)) for _ in range(2)]
    optimizer = torch.optim.Adam([*model.parameters(), *scales], lr=1e-3)

    def step() -> None:
        output = model(image)
        guidance = torch.zeros((), device=task.device)
        for case, label in enumerate(batch.label):
            guidance = guidance + functional.mse_loss(output.cam[case, int(torch.sigmoid(label.float()))], gaze[case])
        a, b = (scale.exp() for scale in scales)
        loss = functional.cross_entropy(output.logits, batch.label) / a**2 + guidance / task.batch_size / (2 * b**2)
        loss = loss + torch.log1p(a) + torch.log1p(b)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()  # it is printed

    return step


def bare(task: Task) -> Callable[[], None]:
    """The same network, precision, memory layout and optimizer, without CAM and gaze and with float images."""
    model = task.model()
    trunk = model.to(memory_format=torch.channels_last).backbone
    linear = nn.Linear(trunk.num_features, 3).to(task.device)
    optimizer = torch.optim.Adam([*model.parameters(), *linear.parameters()], lr=1e-3, fused=True)
    batch = task.batch()
    image = (batch.image.float() / 255).contiguous(memory_format=torch.channels_last)

    def loss_of() -> Tensor:
        with torch.autocast(task.device, torch.bfloat16):
            return functional.cross_entropy(linear(trunk(image).mean(dim=(2, 3))), batch.label)

    def step() -> None:
        loss_of().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step
