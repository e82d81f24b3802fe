"""The plateau schedule: the learning rate drops without improvement; training may return to the best epoch."""

from __future__ import annotations

import math
import operator
from typing import Any, Literal

import lightning

from ggcam.training.checkpoints import Checkpoints, best_state

FACTOR = 0.1
"""Factor by which the learning rate drops."""


class Plateau(lightning.Callback):
    """Callback that drops the learning rate after more than `patience` epochs in a row without improvement.

    It acts at the end of an epoch, before the checkpoint is written (Lightning steps its own plateau schedules after
    that), so that a resumed run continues as an uninterrupted one would. Any improvement counts, as for the checkpoint
    of the best epoch: at a drop, that checkpoint is of an earlier epoch.

    Args:
        metric: logged name of the validation metric.
        mode: whether the metric is maximised or minimised.
        patience: number of epochs without improvement that are allowed.
        min_lr: lowest learning rate.
        reload_best: whether to reload, at a drop, weights and optimizer state from the best epoch's checkpoint.
    """

    def __init__(
        self,
        metric: str,
        mode: Literal["max", "min"],
        patience: int,
        min_lr: float = 0.0,
        reload_best: bool = False,
    ):
        self._metric, self._patience, self._min_lr, self._reload_best = metric, patience, min_lr, reload_best
        self._is_better = operator.gt if mode == "max" else operator.lt
        self._best = -math.inf if mode == "max" else math.inf
        self._waited = 0

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Compare the metric of the epoch with the best so far, and drop the learning rate if it is time."""
        value = float(trainer.callback_metrics[self._metric])
        if self._is_better(value, self._best):
            self._best, self._waited = value, 0
            return
        self._waited += 1
        if self._waited > self._patience:
            self._waited = 0
            self._drop(trainer, pl_module)

    def _drop(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        (optimizer,) = trainer.optimizers
        rates = [min(group["lr"], max(self._min_lr, FACTOR * group["lr"])) for group in optimizer.param_groups]
        if all(group["lr"] <= rate for group, rate in zip(optimizer.param_groups, rates, strict=True)):
            return
        if self._reload_best:
            checkpoints = trainer.checkpoint_callback
            assert isinstance(checkpoints, Checkpoints)
            best = best_state(checkpoints.folder)  # on the CPU, so that the device need not hold a second network
            module.load_state_dict(best["state_dict"])
            optimizer.load_state_dict(best["optimizer_states"][0])
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate

    def state_dict(self) -> dict[str, Any]:
        """Return the state for the checkpoint."""
        return {"best": self._best, "waited": self._waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from the checkpoint."""
        self._best, self._waited = state_dict["best"], state_dict["waited"]
