"""History of a training run, kept in the checkpoint so that a resumed run has every epoch exactly once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import pandas as pd

from ggcam.utils.atomic import atomic_write


class History(lightning.Callback):
    """Callback that collects one row per epoch and writes `history.csv` after each.

    Columns: epoch (from 0), learning_rate (at the start of the epoch), seconds (duration of the epoch),
    data_wait_fraction (fraction of the training time spent waiting for the next batch; a GPU may compute meanwhile),
    train_total, train_classification, train_guidance, valid_total, valid_classification, valid_guidance,
    valid_macro_auroc, valid_accuracy. With `selection="test"` the last five begin with test instead of valid.

    Args:
        path: the CSV file to write.
        on_epoch: called with each new row.
    """

    def __init__(self, path: Path, on_epoch: Callable[[dict[str, float]], None] | None = None):
        self.path = path
        self.rows: list[dict[str, float]] = []
        self._on_epoch = on_epoch
        self._epoch_start = 0.0
        self._learning_rate = 0.0
        self._step_end = 0.0
        self._wait_s = 0.0

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock, and record the learning rate that the epoch starts with."""
        self._epoch_start = self._step_end = time.perf_counter()
        self._wait_s = 0.0
        self._learning_rate = float(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Add the time spent waiting for this batch, since the last step or the start of the epoch."""
        self._wait_s += time.perf_counter() - self._step_end

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Record the end of a step."""
        self._step_end = time.perf_counter()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Add the row of the epoch. Lightning validates before this, and saves checkpoints after it."""
        seconds = time.perf_counter() - self._epoch_start
        row = {"epoch": trainer.current_epoch, "learning_rate": self._learning_rate, "seconds": seconds}
        row["data_wait_fraction"] = self._wait_s / (self._step_end - self._epoch_start)
        logged = trainer.callback_metrics.items()
        row |= {name.replace("/", "_"): float(value) for name, value in logged if "/" in name}
        self.rows.append(row)
        if trainer.is_global_zero:
            atomic_write(self.path, pd.DataFrame(self.rows).to_csv(index=False))
            if self._on_epoch is not None:
                self._on_epoch(row)

    def state_dict(self) -> dict[str, Any]:
        """Return the state for the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from the checkpoint."""
        self.rows = list(state_dict["rows"])
