"""Checkpoints of a training run: written completely or not at all, and read without running code in them."""

from __future__ import annotations

import logging
import math
import operator
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import lightning
import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.callbacks import Checkpoint
from torch import nn

from ggcam.errors import RunFolderError
from ggcam.utils.atomic import atomic_path
from ggcam.utils.safe_pickle import load_pt, pt_bytes

log = logging.getLogger(__name__)

LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"
"""Names of the checkpoints of the last epoch, of the epoch before it, and of the best epoch."""

_PARTS = ("epoch", "state_dict", "optimizer_states", "lr_schedulers", "loops", "callbacks")
"""Keys that a checkpoint must have."""


class Checkpoints(Checkpoint):
    """Callback that writes `last.ckpt` after each epoch, and before it `best.ckpt` if the epoch is the best so far.

    Lightning calls it after all other callbacks, whose states are therefore those of the end of the epoch. It takes
    the place of Lightning's ModelCheckpoint, which writes the absolute path of the folder into each file, and forgets
    the best epoch when the folder is moved.

    Args:
        folder: folder of the checkpoints.
        metric: logged name of the validation metric that decides which epoch is best.
        mode: whether the metric is maximised or minimised.

    Attributes:
        started: whether training has started; until then, the state of a checkpoint is being restored.
    """

    def __init__(self, folder: Path, metric: str, mode: Literal["max", "min"]):
        self.folder = folder
        self.started = False
        self._metric = metric
        self._is_better = operator.gt if mode == "max" else operator.lt
        self._worst = -math.inf if mode == "max" else math.inf
        self._best: float | None = None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Note that training has started."""
        self.started = True

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write the checkpoints of the epoch."""
        value = float(trainer.callback_metrics[self._metric])
        value = self._worst if math.isnan(value) else value
        if self._best is None or self._is_better(value, self._best):
            self._best = value
            trainer.save_checkpoint(self.folder / BEST)
        trainer.save_checkpoint(self.folder / LAST)

    def state_dict(self) -> dict[str, Any]:
        """Return the state for the checkpoint."""
        return {"best": self._best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from the checkpoint."""
        self._best = state_dict["best"]


class CheckpointFiles(CheckpointIO):
    """Writes and reads checkpoints for Lightning.

    Lightning's own way may run code when it reads. Where the folder for temporary files is on another file system, it
    overwrites the former checkpoint while it writes, and leaves files behind.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: object = None) -> None:
        """Write a checkpoint beside its final place and rename it; of `last.ckpt`, the one before is kept."""
        content = pt_bytes(checkpoint)
        path = Path(path)
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
            if path.name == LAST and path.is_file():
                os.replace(path, path.with_name(PREVIOUS))

    def load_checkpoint(self, path: Any, map_location: object = None, weights_only: bool | None = None) -> Any:
        """Read a checkpoint; the arguments after the path, which Lightning passes, change nothing."""
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint."""
        Path(path).unlink(missing_ok=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running any code in it.

    Args:
        path: the file.

    Returns:
        Content of the checkpoint, on the CPU.

    Raises:
        RunFolderError: the file is missing or damaged, contains more than tensors and plain values, is not a
            checkpoint, or was written by an earlier version of ggcam.
    """
    try:
        content = load_pt(path, RunFolderError, "tensors and plain values", checksums=True)
    except FileNotFoundError:
        raise RunFolderError("a checkpoint is missing", where=path) from None
    if not isinstance(content, dict) or any(part not in content for part in _PARTS):
        got = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise RunFolderError("the file is not a checkpoint", where=path, expected=", ".join(_PARTS), got=got[:300])
    if not isinstance(content["callbacks"], dict) or Checkpoints.__qualname__ not in content["callbacks"]:
        raise RunFolderError(
            "the checkpoint was written by an earlier version of ggcam",
            where=path,
            hint=f"train again: ggcam train --config {path.parent.parent / 'config.toml'}",
        )
    return content


def has_checkpoint(folder: Path) -> bool:
    """Return whether there is a checkpoint, whole or damaged.

    Args:
        folder: folder of the checkpoints.
    """
    return any((folder / name).is_file() for name in (LAST, PREVIOUS, BEST))


def find_checkpoint(folder: Path, module: nn.Module) -> Path | None:
    """Find the checkpoint to continue from: the last one that is whole, or else the best one.

    Args:
        folder: folder of the checkpoints.
        module: training module that the checkpoint must fit.

    Returns:
        The checkpoint; None if there are none yet. A warning in the log says why it is not the last one.

    Raises:
        RunFolderError: there are checkpoints, but none can be used.
    """
    problems: list[str] = []
    for name in (LAST, PREVIOUS, BEST):
        path = folder / name
        try:
            content = read_checkpoint(path)
            _check_fit(content, module.state_dict(), path)
        except RunFolderError as error:
            if path.is_file():
                problems.append(str(error))
            continue
        if name != LAST:
            reason = problems[0] if problems else f"{folder / LAST} is missing"
            log.warning("training continues from %s, after epoch %s: %s", name, int(content["epoch"]) + 1, reason)
        return path
    if problems:
        raise RunFolderError(
            "no checkpoint of the run can be used",
            where=folder,
            got="\n    ".join(problems[0].splitlines()),
            hint="to train again from the first epoch, delete this folder and resume the run",
        )
    return None


def best_state(folder: Path) -> dict[str, Any]:
    """Read the checkpoint of the best epoch.

    Args:
        folder: folder of the checkpoints.

    Returns:
        Content of the checkpoint, on the CPU.

    Raises:
        RunFolderError: the file is missing or damaged, or contains more than tensors and plain values.
    """
    return read_checkpoint(folder / BEST)


def _check_fit(content: Mapping[str, Any], expected: Mapping[str, torch.Tensor], path: Path) -> None:
    """Check that a checkpoint holds the parameters of the network that is trained."""
    state = content["state_dict"]
    shapes = {name: getattr(value, "shape", None) for name, value in state.items()} if isinstance(state, dict) else {}
    wrong = [
        name for name in {**expected, **shapes} if name not in expected or shapes.get(name) != expected[name].shape
    ]
    if wrong:
        raise RunFolderError("the checkpoint belongs to another network", where=path, got=", ".join(wrong[:3]))
