"""What happened epoch by epoch: kept with the checkpoint, so that a resumed run has all of it once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import pandas as pd

from ggcam.utils.atomic import atomic_write


class History(lightning.Callback):
    """Collects a row an epoch and writes `history.csv` as it goes.

    Columns: epoch (from 0), learning_rate, seconds (of the epoch), data_wait_fraction (of the time spent in training steps, the
    part in which the next batch was awaited, 0 to 1; a GPU may still be at work meanwhile), train_total,
    train_classification, train_guidance, valid_total, valid_classification, valid_guidance, valid_macro_auroc,
    valid_accuracy.

    Args:
        path: of the CSV.
        on_epoch: called with each new row, to print it, say.
    """

    def __init__(self, path: Path, on_epoch: Callable[[dict[str, float]], None] | None = None):
        self.path = path
        self.rows: list[dict[str, float]] = []
        self._on_epoch = on_epoch
        self._started = 0.0
        self._rate = 0.0
        self._last = 0.0
        self._waited = 0.0

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the epoch's clock, and note the rate it begins with."""
        self._started = self._last = time.perf_counter()
        self._waited = 0.0
        self._rate = float(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """A batch is there: it was awaited since the last step, or the start of the epoch."""
        self._waited += time.perf_counter() - self._last

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A step is done."""
        self._last = time.perf_counter()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Add the epoch's row. Lightning validates before this, and saves checkpoints after it."""
        seconds = time.perf_counter() - self._started
        row = {"epoch": trainer.current_epoch, "learning_rate": self._rate, "seconds": seconds}
        row["data_wait_fraction"] = self._waited / (self._last - self._started)
        logged = trainer.callback_metrics.items()
        row |= {name.replace("/", "_"): float(value) for name, value in logged if "/" in name}
        self.rows.append(row)
        if trainer.is_global_zero:
            atomic_write(self.path, pd.DataFrame(self.rows).to_csv(index=False))
            if self._on_epoch is not None:
                self._on_epoch(row)

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the checkpoint."""
        self.rows = list(state_dict["rows"])
