"""The plateau schedule: the rate drops where nothing is gained, and training may go back to where it was best."""

from __future__ import annotations

import math
import operator
from pathlib import Path
from typing import Any, Literal

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

BEST = "best.ckpt"
"""Name of the best epoch's checkpoint."""

FACTOR = 0.1
"""By which the rate drops."""


class Plateau(lightning.Callback):
    """Drops the learning rate once more than `patience` epochs in a row were no better than the best.

    It acts at the end of an epoch before the checkpoint is written (Lightning acts on its own plateau schedules after
    that), so that a resumed training goes on as an uninterrupted one would. Better is what is better by anything, as
    for the checkpoint of the best epoch: at a drop that checkpoint is of an earlier epoch.

    Args:
        metric: name of the validation metric.
        mode: whether more or less of it is better.
        patience: epochs that may pass.
        min_lr: the rate drops no further.
        reload_best: go back, at a drop, to the weights and the optimizer of the best epoch's checkpoint.
    """

    def __init__(
        self,
        metric: str,
        mode: Literal["max", "min"],
        patience: int,
        min_lr: float = 0.0,
        reload_best: bool = False,
    ):
        self._metric, self._patience, self._lowest_lr, self._reload = metric, patience, min_lr, reload_best
        self._better = operator.gt if mode == "max" else operator.lt
        self._best = -math.inf if mode == "max" else math.inf
        self._waited = 0

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Look at the epoch's metric."""
        value = float(trainer.callback_metrics[self._metric])
        if self._better(value, self._best):
            self._best, self._waited = value, 0
            return
        self._waited += 1
        if self._waited > self._patience:
            self._waited = 0
            self._drop(trainer, pl_module)

    def _drop(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        (optimizer,) = trainer.optimizers
        rates = [max(self._lowest_lr, FACTOR * group["lr"]) for group in optimizer.param_groups]
        if all(group["lr"] <= rate for group, rate in zip(optimizer.param_groups, rates, strict=True)):
            return
        if self._reload:
            checkpoints = trainer.checkpoint_callback
            assert isinstance(checkpoints, ModelCheckpoint)
            assert checkpoints.dirpath is not None
            # On the CPU first: the device need not hold a second network.
            best = torch.load(Path(checkpoints.dirpath) / BEST, map_location="cpu", weights_only=False)
            module.load_state_dict(best["state_dict"])
            optimizer.load_state_dict(best["optimizer_states"][0])
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"best": self._best, "waited": self._waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the checkpoint."""
        self._best, self._waited = state_dict["best"], state_dict["waited"]
