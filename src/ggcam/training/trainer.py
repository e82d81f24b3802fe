"""Lightning's trainer: devices and precision, signals, and what it prints."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import lightning
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException

from ggcam.errors import ConfigError, RunFolderError
from ggcam.training.checkpoints import CheckpointFiles, Checkpoints
from ggcam.training.config import TrainConfig
from ggcam.utils.freed_memory import all_freed_memory_kept
from ggcam.utils.signals import Terminated

DeviceOptions = Callable[[TrainConfig], dict[str, Any]]
"""Returns the arguments of Lightning's trainer that say where to compute, and in how many processes."""


def device_options(config: TrainConfig) -> dict[str, Any]:
    """Return the arguments of Lightning's trainer with which it starts all processes itself.

    Args:
        config: options of the training.
    """
    return {
        "accelerator": config.accelerator,
        "devices": config.devices,
        "num_nodes": config.nodes,
        "strategy": config.strategy,
    }


def create_trainer(config: TrainConfig, devices: DeviceOptions = device_options, **options: Any) -> lightning.Trainer:
    """Create Lightning's trainer. If it refuses, the cause is the choice of devices, strategy or precision.

    Args:
        config: options of the training; precision auto counts as 32, see `training.precision`.
        devices: where to compute.
        options: further arguments of the trainer.

    Returns:
        The trainer.

    Raises:
        ConfigError: the configuration is not supported on this machine.
    """
    try:
        where = devices(config)
        plugins = [CheckpointFiles(), *where.pop("plugins", ())]
        precision = "bf16-mixed" if config.precision == "bf16" else "32-true"
        return lightning.Trainer(**where, plugins=plugins, precision=precision, **options)
    except (MisconfigurationException, ValueError) as error:
        raise ConfigError(
            f"this configuration is not supported on this machine: {str(error).splitlines()[0]}",
            where="--accelerator, --devices, --nodes, --strategy, --precision",
        ) from error


def count_processes(config: TrainConfig, devices: DeviceOptions = device_options) -> int:
    """Return the number of processes of a training run.

    Args:
        config: options of the training.
        devices: where to compute.

    Raises:
        ConfigError: the configuration is not supported on this machine.
    """
    silent = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False}
    with quiet_lightning():
        return create_trainer(config, devices, **silent).world_size


def fit(
    trainer: lightning.Trainer,
    module: lightning.LightningModule,
    data: lightning.LightningDataModule,
    checkpoint: Path | None,
    keep_memory: bool,
) -> None:
    """Train a module. An interruption by a signal is raised; Lightning would end the process as if all were well.

    Args:
        trainer: the trainer.
        module: the module to train.
        data: its batches.
        checkpoint: checkpoint to continue from; None starts with the first epoch.
        keep_memory: whether to keep freed memory on a CPU, see :func:`ggcam.utils.freed_memory.all_freed_memory_kept`.

    Raises:
        RunFolderError: the state of the training cannot be restored from the checkpoint.
        KeyboardInterrupt: Ctrl-C.
        Terminated: SIGTERM.
    """
    on_cpu = trainer.strategy.root_device.type == "cpu"
    try:
        with all_freed_memory_kept() if on_cpu and keep_memory else nullcontext():
            trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
    except (SIGTERMException, Terminated):
        raise Terminated from None
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # Lightning turns Ctrl-C into exit code 1
            raise KeyboardInterrupt from None
        raise
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        checkpoints = trainer.checkpoint_callback
        if checkpoint is None or not isinstance(checkpoints, Checkpoints) or checkpoints.started:
            raise
        raise RunFolderError(
            "the state of the training cannot be restored from the checkpoint",
            where=checkpoint,
            got=f"{type(error).__name__}: {error}"[:300],
            hint="delete the checkpoint, and resume the run from an earlier one",
        ) from error


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's warnings, but neither its announcements at every start nor a second copy of each line."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    before = [(logger, logger.level, logger.handlers) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
        logger.handlers = []
    try:
        yield
    finally:
        for logger, level, handlers in before:
            logger.setLevel(level)
            logger.handlers = handlers


def is_first_process() -> bool:
    """Return whether this process writes files and prints: in a distributed run, one of them does."""
    return getattr(rank_zero_only, "rank", 0) == 0
