"""The Lightning module: one training step, one validation step, the optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import lightning
import numpy as np
import torch
from jaxtyping import Float, Shaped
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from timm.optim import create_optimizer_v2  # pyright: ignore[reportPrivateImportUsage]  (public all the same)
from torch import Tensor

from ggcam.data.augment import Change, change_images, change_points, draw_changes
from ggcam.data.dataset import Batch
from ggcam.errors import ConfigError
from ggcam.gaze.batch import GazeBatch
from ggcam.gaze.maps import sigma_in_px
from ggcam.guidance import Guidance, Losses
from ggcam.models.cam import CAMClassifier, CAMOutput
from ggcam.models.checkpointing import frozen_running_statistics
from ggcam.models.compiling import compile_network
from ggcam.training.config import TrainConfig
from ggcam.training.losses import classification_loss, known_entries, loss_per_case, scores

WARM_UP = 0.05
"""Share of the steps in which the cosine schedule rises to its peak."""


class GuidedTraining(lightning.LightningModule):
    """A classifier in training under a guidance.

    Args:
        model: what is trained, and all that is kept.
        guidance: how gaze enters the loss.
        config: of the run.
        frame: height and width of the images in pixels.
    """

    def __init__(self, model: CAMClassifier, guidance: Guidance, config: TrainConfig, frame: tuple[int, int]):
        super().__init__()
        guidance.attach(model)
        self.model = model
        self.guidance = guidance
        self.config = config
        self.frame = frame
        self._seen: list[tuple[Tensor, Tensor, Tensor]] = []

    def on_train_epoch_start(self) -> None:
        """Dropout and the like follow from seed and epoch alone, so that a resumed run repeats them.

        The generator is the global one, which `fit` sets aside before and puts back afterwards.
        """
        torch.manual_seed((self.config.seed << 20) + self.current_epoch)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Total loss of a batch."""
        losses = self.losses_of(batch)
        self.log_dict(
            {
                "train/total": losses.total.detach(),
                "train/classification": losses.classification,
                "train/guidance": losses.guidance,
            },
            on_step=False,
            on_epoch=True,
            batch_size=len(batch.label),
            sync_dist=self.trainer.world_size > 1,
        )
        return losses.total

    def losses_of(self, batch: Batch) -> Losses:
        """The losses of a batch, changed by augmentation as this epoch has it."""
        image, points, change = batch.image, batch.points_px, None
        if self.config.augment.active:
            change = draw_changes(self.config.augment, batch.row, self.frame, self.config.seed, self.current_epoch)
            image, points = change_images(image, change), change_points(points, change, self.frame)
        gaze = self.gaze_of(batch, points, change)
        output = self._in_training(self.guidance.on_input(_channels_last(image), gaze))
        classification = classification_loss(output.logits, batch.label)
        return self.guidance(output, batch.label, gaze, classification)

    @cached_property
    def _in_training(self) -> Callable[[Tensor], CAMOutput]:
        """The network, compiled if asked for; in validation, whose batches differ in size, it is taken as it is."""
        return compile_network(self.model) if self.config.compile else self.model

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Also computes again what checkpointing has not kept."""
        with frozen_running_statistics(self.model) if self.config.checkpointing else nullcontext():
            super().backward(loss, *args, **kwargs)

    def gaze_of(self, batch: Batch, points_px: Float[Tensor, "b p 2"], change: Change | None = None) -> GazeBatch:
        """The gaze of a batch at these points; a change that enlarges the image enlarges the blur."""
        if self.config.sigma_px is not None:
            sigma_px = torch.full_like(points_px, self.config.sigma_px)
        else:
            sigma_px = sigma_in_px(batch.px_per_degree, self.config.sigma_deg, self.frame)
        if change is not None:
            sigma_px = sigma_px * torch.linalg.det(change.matrix).sqrt()[:, None, None]
        return GazeBatch(points_px, batch.duration_s, sigma_px, self.frame, batch.point_label, self.config.label_gaze)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep what the metrics of the whole split need."""
        output = self.model(_channels_last(batch.image))
        each = loss_per_case(output.logits, batch.label)
        losses = self.guidance(output, batch.label, self.gaze_of(batch, batch.points_px), each.mean())
        guidance = losses.guidance.expand_as(each)
        self._seen.append((batch.row, batch.label, torch.column_stack([output.logits, each, guidance])))

    def on_validation_epoch_end(self) -> None:
        """Macro AUROC and losses of the whole split, from every process, each case once."""
        row, label, values = (torch.cat(parts) for parts in zip(*self._seen, strict=True))
        self._seen.clear()
        if self.trainer.world_size > 1:
            row, label, values = (self._gathered(part) for part in (row, label, values))
        order = torch.argsort(row)[(row < 0).sum() :]
        label, values = label[order].cpu().numpy(), values[order].double().cpu().numpy()
        logits, each, guidance = values[:, :-2], values[:, -2], values[:, -1]
        if not np.isfinite(logits).all():
            raise ConfigError(
                f"training diverged in epoch {self.current_epoch}: the network's outputs are not finite",
                where="--lr, --guidance-weight, --clip-norm",
                got=f"lr={self.config.lr}, clip_norm={self.config.clip_norm}",
                hint="lower the learning rate, or clip the gradient (--clip-norm 1)",
            )
        known = known_entries(label)
        classification = float(np.average(each, weights=known)) if known.any() else 0.0
        parts = (
            torch.tensor(part, dtype=torch.float32, device=self.device) for part in (classification, guidance.mean())
        )
        auroc, accuracy = scores(logits, label)
        self.log_dict(
            {
                # One class alone, or too little known, in a tiny validation split: no ranking to speak of.
                "valid/macro_auroc": 0.5 if np.isnan(auroc) else auroc,
                "valid/accuracy": accuracy,
                "valid/total": self.guidance.combine(*parts),
                "valid/classification": classification,
                "valid/guidance": float(guidance.mean()),
            }
        )

    def _gathered(self, part: Tensor) -> Tensor:
        everyones = self.all_gather(part)
        assert isinstance(everyones, Tensor)
        return everyones.flatten(0, 1)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam or AdamW over network and guidance, under the chosen schedule (the plateau's is a callback)."""
        config = self.config
        optimizer = create_optimizer_v2(
            self,
            opt=config.optimizer,
            lr=config.lr,
            weight_decay=config.weight_decay,
            filter_bias_and_bn=True,
            fused=True,
        )
        # Lightning does not clip for an optimizer that might unscale gradients afterwards. Here none are scaled.
        optimizer._step_supports_amp_scaling = False  # pyright: ignore[reportAttributeAccessIssue]
        if config.schedule != "cosine":
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine(step, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def cosine(step: int, steps: int) -> float:
    """Factor on the learning rate: a linear warm-up, then half a cosine down to 0."""
    warm_up = max(1, round(WARM_UP * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm_up) / max(1, steps - warm_up))))


def _channels_last(image: Shaped[Tensor, "b i H W"]) -> Shaped[Tensor, "b i H W"]:
    return image.contiguous(memory_format=torch.channels_last)
