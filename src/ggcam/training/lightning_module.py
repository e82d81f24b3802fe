"""The Lightning module: training step, validation step and optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import lightning
import numpy as np
import torch
from jaxtyping import Float, Shaped
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from ggcam.data.augment import (
    Augmentation,
    augment_images,
    augment_maps,
    augment_points,
    draw_augmentations,
    scale_factor,
)
from ggcam.data.batches import Batch
from ggcam.errors import DivergenceError
from ggcam.gaze.batch import GazeBatch
from ggcam.gaze.maps import sigma_in_px
from ggcam.gaze.regions import Attention, GazeElseRegions, RegionBatch
from ggcam.guidance import Guidance, Losses
from ggcam.models.cam import CAMClassifier, CAMOutput
from ggcam.models.checkpointing import frozen_running_statistics
from ggcam.models.compiling import compile_network
from ggcam.training.config import TrainConfig
from ggcam.training.losses import classification_loss, count_known_entries, loss_per_case, macro_auroc_and_accuracy
from ggcam.training.optimizer import create_optimizer

WARM_UP = 0.05
"""Fraction of the steps in which the cosine schedule rises to its peak."""


class GuidedTraining(lightning.LightningModule):
    """Training of a classifier with a guidance.

    Args:
        model: the network to train.
        guidance: how gaze enters the loss.
        config: options of the training.
        frame: height and width of the images in pixels.
        class_weights: (k,), weights of the classes in the classification loss of training; None weighs all alike.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        model: CAMClassifier,
        guidance: Guidance,
        config: TrainConfig,
        frame: tuple[int, int],
        class_weights: Float[Tensor, " k"] | None = None,
    ):
        super().__init__()
        guidance.initialize(model)
        self.model = model
        self.guidance = guidance
        self.config = config
        self.frame = frame
        self.register_buffer("class_weights", class_weights, persistent=False)  # follows from the training cases
        self._outputs: list[tuple[Tensor, Tensor, Tensor]] = []

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Draw the augmentation of a training batch while its rows are still in the host's memory."""
        config = self.config
        if not (self.training and config.augment.active):
            return batch
        augmentation = draw_augmentations(config.augment, batch.row, self.frame, config.seed, self.current_epoch)
        if torch.cuda.is_available():  # pinned memory is copied without waiting
            augmentation = Augmentation(*(part.pin_memory() for part in augmentation))
        return batch._replace(augmentation=augmentation)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed what is random in this step, and tell the guidance how much of the training is done.

        Dropout and the like follow from the run's seed and the step alone, so that a resumed run repeats them; per
        epoch would not do, because the loaders of a resumed epoch draw from the same generator in another order. It is
        torch's global one, whose state `train` saves before and restores afterwards.
        """
        torch.manual_seed((self.config.seed << 20) + self.trainer.global_step)
        self.guidance.progress = self.trainer.global_step / max(1, int(self.trainer.estimated_stepping_batches))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the total loss of a batch, and log all losses."""
        losses = self.compute_losses(batch)
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

    def compute_losses(self, batch: Batch) -> Losses:
        """Compute the losses of a batch, with the augmentation drawn for it.

        Args:
            batch: a batch of training cases.

        Returns:
            The losses.
        """
        image = batch.image if batch.augmentation is None else augment_images(batch.image, batch.augmentation)
        attention = self.build_attention(batch)
        output = self.guidance.forward_pass(self._training_network, _channels_last(image), batch.label, attention)

        def classify(logits: Tensor) -> Tensor:
            return classification_loss(logits, batch.label, self.class_weights, self.config.label_smoothing)

        losses = self.guidance(output, batch.label, attention, classify(output.logits), batch.present)
        extra = self.guidance.extra_loss(output, classify)
        return losses if extra is None else losses._replace(total=losses.total + extra)

    @cached_property
    def _training_network(self) -> Callable[[Tensor], CAMOutput]:
        """The network, compiled if the config says so; validation, whose batches vary in size, never compiles it."""
        return compile_network(self.model) if self.config.compile else self.model

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Run the backward pass; with checkpointing it recomputes activations without updating batch statistics."""
        with frozen_running_statistics(self.model) if self.config.checkpointing else nullcontext():
            super().backward(loss, *args, **kwargs)

    def build_attention(self, batch: Batch) -> Attention:
        """Build what guides the CAMs of a batch, moved by the augmentation drawn for it.

        Args:
            batch: the batch.

        Returns:
            The gaze; in data that are guided by regions, the gaze where there is any and otherwise the regions. An
            augmentation that enlarges the image enlarges the blur as well.
        """
        points, augmentation = batch.points_px, batch.augmentation
        if self.config.sigma_px is not None:
            sigma_px = torch.full_like(points, self.config.sigma_px)
        else:
            sigma_px = sigma_in_px(batch.px_per_degree, self.config.sigma_deg, self.frame)
        if augmentation is not None:
            points = augment_points(points, augmentation, self.frame)
            sigma_px = sigma_px * scale_factor(augmentation)[:, None, None]
        gaze = GazeBatch(points, batch.duration_s, sigma_px, self.frame, batch.point_label, self.config.point_selection)
        maps, label = batch.region_maps, batch.region_label
        if maps is None or label is None:
            return gaze
        maps = maps if augmentation is None else augment_maps(maps, augmentation, self.frame)
        return GazeElseRegions(gaze, RegionBatch(maps, label))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Collect the outputs and losses that the metrics of the whole split need."""
        output = self.model(_channels_last(batch.image))
        per_case = loss_per_case(output.logits, batch.label)
        attention = self.build_attention(batch)
        losses = self.guidance(output, batch.label, attention, per_case.mean(), batch.present)
        guidance = losses.guidance.expand_as(per_case)
        self._outputs.append((batch.row, batch.label, torch.column_stack([output.logits, per_case, guidance])))

    def on_validation_epoch_end(self) -> None:
        """Compute macro AUROC and losses of the whole split, with each case of every process once."""
        row, label, values = (torch.cat(parts) for parts in zip(*self._outputs, strict=True))
        self._outputs.clear()
        if self.trainer.world_size > 1:
            row, label, values = (self._gather(part) for part in (row, label, values))
        order = torch.argsort(row)[(row < 0).sum() :]
        label, values = label[order].cpu().numpy(), values[order].double().cpu().numpy()
        logits, per_case, guidance = values[:, :-2], values[:, -2], values[:, -1]
        known = count_known_entries(label)
        classification = float(np.average(per_case, weights=known)) if known.any() else 0.0
        parts = (
            torch.tensor(part, dtype=torch.float32, device=self.device) for part in (classification, guidance.mean())
        )
        total = self.guidance.combine(*parts)
        self._check_finite({"outputs of the network": logits, "losses": np.append(values, total.item())})
        auroc, accuracy = macro_auroc_and_accuracy(logits, label)
        split = self.config.selection
        self.log_dict(
            {
                f"{split}/macro_auroc": auroc,  # NaN where no class has cases both with and without it
                f"{split}/accuracy": accuracy,
                f"{split}/total": total,
                f"{split}/classification": classification,
                f"{split}/guidance": float(guidance.mean()),
            }
        )

    def _check_finite(self, values: Mapping[str, Float[np.ndarray, ...]]) -> None:
        """Raise a DivergenceError if any of the named values are not finite."""
        for name, found in values.items():
            if not np.isfinite(found).all():
                clip_norm = self.config.clip_norm
                raise DivergenceError(
                    f"training diverged in epoch {self.current_epoch + 1}: the {name} are not finite",
                    where="--lr, --guidance-weight, --clip-norm",
                    got=f"lr={self.config.lr}, guidance_weight={self.config.guidance_weight}, clip_norm={clip_norm}",
                    hint="train again with a lower learning rate" + ("" if clip_norm else ", or with --clip-norm 1"),
                )

    def _gather(self, part: Tensor) -> Tensor:
        gathered = self.all_gather(part)
        assert isinstance(gathered, Tensor)
        return gathered.flatten(0, 1)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Create the optimizer of network and guidance, with its schedule (the plateau schedule is a callback)."""
        config = self.config
        optimizer = create_optimizer(self, self.model, config)
        if config.schedule != "cosine":
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine_factor(step, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def cosine_factor(step: int, steps: int) -> float:
    """Return the factor of the cosine schedule: a linear warm-up, then half a cosine down to 0.

    Args:
        step: number of the step, from 0.
        steps: total number of steps.

    Returns:
        Factor on the peak learning rate, 0 to 1.
    """
    warm_up = max(1, round(WARM_UP * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm_up) / max(1, steps - warm_up))))


def _channels_last(image: Shaped[Tensor, "b i H W"]) -> Shaped[Tensor, "b i H W"]:
    return image.contiguous(memory_format=torch.channels_last)
