"""Train a classifier on a prepared folder, or continue an interrupted training run."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning
import pandas as pd
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, Timer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from ggcam.data.data_module import PreparedDataModule
from ggcam.data.prepared import PreparedData
from ggcam.data.views import apply_view
from ggcam.errors import ConfigError
from ggcam.guidance import Guidance, OriginalGuidance, create_guidance
from ggcam.guidance.original import load_scalars
from ggcam.models import original, original_weights
from ggcam.models.cam import CAMClassifier
from ggcam.models.checkpointing import enable_gradient_checkpointing
from ggcam.report.training_plot import save_training_plot
from ggcam.run_folder import RunFolder, create_run_folder, write_summary
from ggcam.training.config import TrainConfig, check_user_named
from ggcam.training.history import History
from ggcam.training.lightning_module import GuidedTraining
from ggcam.training.model_spec import ModelSpec, net_weights
from ggcam.training.plateau import BEST, Plateau
from ggcam.training.run import Run, open_run
from ggcam.utils.atomic import atomic_path
from ggcam.utils.seeding import local_seed

log = logging.getLogger(__name__)

OnEpoch = Callable[[dict[str, float]], None]
"""Called with each row of the history, after every epoch."""


def train(
    data: PreparedData,
    config: TrainConfig | None = None,
    out: Path | str = "run",
    name: str | None = None,
    *,
    on_epoch: OnEpoch | None = None,
    progress_bar: bool = False,
) -> Run:
    """Train a classifier on a prepared folder, and leave a run folder with the best network in it.

    Nothing is printed; `ggcam.evaluate` completes the run folder. A guidance of the user's own (`MODULE:CLASS`) is
    imported because the caller names it in `config`.

    Args:
        data: the prepared folder; the split, the number of training cases or a control follow from `config.view`.
        config: options of the training; None takes the defaults.
        out: folder of the runs; the new one is `out/<ID>`.
        name: ID of the run; None draws a random one.
        on_epoch: called with each row of the history.
        progress_bar: whether to draw a progress bar on the terminal.

    Returns:
        The finished run, not yet evaluated.

    Raises:
        ConfigError: an option cannot work with these data or on this machine, or training diverged.
        RunFolderError: the name is already taken.
        WeightsError: `config.weights` does not hold the weights of the requested network of the original's.

    Example:
        >>> run = train(load_prepared("DATA"), TrainConfig(epochs=5), out="run", name="mine")  # doctest: +SKIP
        >>> run.history["valid_macro_auroc"].max()  # doctest: +SKIP
        0.81
    """
    config = config or TrainConfig()
    guidance = create_guidance(config.guidance, config.guidance_weight)
    if data.multi_label:
        guidance.check_multilabel()
    data = apply_view(data, config.view)
    _check_cases(data, config.guidance)
    with _quiet_lightning():
        _create_trainer(**_device_options(config), logger=False, enable_checkpointing=False, enable_model_summary=False)
    spec = ModelSpec.from_config(config, data)
    model = _build_model(spec, config)
    # Only now: an option that cannot work must not leave a folder behind.
    if is_first_process():
        settings = {"data": data.root.resolve(), "train": asdict(config)}
        folder = create_run_folder(Path(out), name, settings, spec.to_dict())
    else:
        folder = RunFolder(Path(out), Path(out))  # the other processes write nothing
    return _train(Run(folder, spec, config), model, guidance, data, on_epoch, progress_bar)


def resume(
    root: Path | str,
    guidance: str | None = None,
    *,
    on_epoch: OnEpoch | None = None,
    progress_bar: bool = False,
) -> Run:
    """Continue an interrupted training run after its last complete epoch; on one CPU, to the very same weights.

    A run that has finished training is returned as it is.

    Args:
        root: the run folder.
        guidance: the run's guidance. Required if it is a class of your own (`MODULE:CLASS`): a name that only a run
            folder holds is never imported.
        on_epoch: called with each row of the history.
        progress_bar: whether to draw a progress bar on the terminal.

    Returns:
        The finished run.

    Raises:
        RunFolderError: the folder is not a run folder, is damaged, or its data have other classes or another frame now.
        PreparedFolderError: its data do not exist any more.
        ConfigError: the run's guidance is a class of your own and `guidance` does not name it.
    """
    run = open_run(root)
    if run.folder.weights.is_file():
        return run
    check_user_named(run.config.guidance, guidance, where=run.folder.config)
    data = apply_view(run.data(), run.config.view)
    run.spec.check_match(data)
    model = _build_model(run.spec, run.config, begun=run.folder.last_checkpoint.is_file())
    method = create_guidance(run.config.guidance, run.config.guidance_weight)
    return _train(run, model, method, data, on_epoch, progress_bar)


def _check_cases(data: PreparedData, guidance: str) -> None:
    for split in ("train", "valid"):
        if split not in set(data.cases["split"]):
            raise ConfigError(
                f"there are no {split} cases", where=data.root, hint="prepare the data with another split"
            )
    if guidance != "none" and not data.cases.loc[data.cases["split"] == "train", "has_gaze"].any():
        log.warning("no training case has gaze, so guidance %s has no effect: %s", guidance, data.root)


def _build_model(spec: ModelSpec, config: TrainConfig, begun: bool = False) -> CAMClassifier:
    """Build the network as training starts. Once begun, a checkpoint has the weights, and their file may be gone."""
    with local_seed(config.seed):
        model = spec.build(config.pretrained and not begun, None if begun else config.weights)
    if config.checkpointing:
        enable_gradient_checkpointing(model.backbone)
    return model


def _train(
    run: Run,
    model: CAMClassifier,
    guidance: Guidance,
    data: PreparedData,
    on_epoch: OnEpoch | None,
    progress_bar: bool,
) -> Run:
    folder, config = run.folder, run.config
    module = GuidedTraining(model.to(memory_format=torch.channels_last), guidance, config, data.frame.shape)
    begun = folder.last_checkpoint if folder.last_checkpoint.is_file() else None
    if config.weights is not None and begun is None:
        start_guidance(module, config.weights)
    best = ModelCheckpoint(
        folder.checkpoints,
        filename=Path(BEST).stem,
        monitor=config.monitored,
        mode=config.monitor_mode,
        enable_version_counter=False,
    )
    # A callback of its own, because Lightning's `save_last` skips every epoch that is not the best so far.
    last = ModelCheckpoint(folder.checkpoints, filename=folder.last_checkpoint.stem, enable_version_counter=False)
    history = History(folder.history, on_epoch)
    callbacks: list[lightning.Callback] = [history, best, last]  # `last` saves the state of `best`, too
    if config.early_stop_patience is not None:
        callbacks.append(EarlyStopping(config.monitored, mode=config.monitor_mode, patience=config.early_stop_patience))
    if config.max_hours is not None:
        callbacks.append(Timer(timedelta(hours=config.max_hours), interval="epoch", verbose=False))
    if config.schedule == "plateau":
        callbacks.append(
            Plateau(config.monitored, config.monitor_mode, config.patience, config.min_lr, config.reload_best)
        )
    with warnings.catch_warnings(), _quiet_lightning():
        # Lightning recommends more worker processes, which images in memory do not need, and finer logging.
        warnings.filterwarnings("ignore", module="lightning")
        trainer = _create_trainer(
            max_epochs=config.epochs,
            **_device_options(config),
            gradient_clip_val=config.clip_norm or None,
            callbacks=callbacks,
            logger=[CSVLogger(folder.root, "logs"), TensorBoardLogger(folder.root, "logs", version="tensorboard")],
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_model_summary=False,
            enable_progress_bar=progress_bar,
        )
        batches = PreparedDataModule(data, config.batch_size, config.seed, config.cache, config.workers)
        with local_seed(config.seed):
            trainer.fit(module, batches, ckpt_path=begun, weights_only=False)
    if trainer.is_global_zero:
        write_summary(folder, sum(row["seconds"] for row in history.rows), str(trainer.strategy.root_device))
        metric = config.monitored.replace("/", "_")
        save_training_plot(pd.DataFrame(history.rows), folder.training_plot, metric=metric, mode=config.monitor_mode)
        _save_best(folder, module)
    return replace(run, folder=trainer.strategy.broadcast(folder))


@contextmanager
def _quiet_lightning() -> Iterator[None]:
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


def start_guidance(module: GuidedTraining, weights: Path) -> None:
    """Load the scalars of the loss from a file of the original's, if the guidance is the original's as well.

    Args:
        module: training module, changed in place.
        weights: the file, a NET.pt.
    """
    if isinstance(module.guidance, OriginalGuidance) and original.is_original(module.model):
        load_scalars(module.guidance, original_weights.scalars_in_state(original_weights.read_state_dict(weights)))


def is_first_process() -> bool:
    """Return whether this process writes files and prints: in a distributed run, one of them does."""
    return getattr(rank_zero_only, "rank", 0) == 0


def _device_options(config: TrainConfig) -> dict[str, Any]:
    """Return the arguments of Lightning's trainer that say where, and how precisely, to compute."""
    return {
        "accelerator": config.accelerator,
        "devices": config.devices,
        "num_nodes": config.nodes,
        "strategy": config.strategy,
        "precision": _precision(config),
    }


def _create_trainer(**options: Any) -> lightning.Trainer:
    """Create Lightning's trainer. If it refuses, the cause is the choice of devices, strategy or precision."""
    try:
        return lightning.Trainer(**options)
    except (MisconfigurationException, ValueError) as error:
        raise ConfigError(
            f"this configuration is not supported on this machine: {str(error).splitlines()[0]}",
            where="--accelerator, --devices, --nodes, --strategy, --precision",
        ) from error


def _save_best(folder: RunFolder, module: GuidedTraining) -> None:
    """Write `NET.pt` from the best checkpoint; if it exists, training has finished."""
    state = torch.load(folder.checkpoints / BEST, map_location="cpu", weights_only=False)["state_dict"]
    module.cpu().load_state_dict(state)
    with atomic_path(folder.weights) as partial:
        torch.save(net_weights(module.model, module.guidance), partial)


def _precision(config: TrainConfig) -> Any:
    if config.precision == "auto":
        return "bf16-mixed" if bf16_is_faster(config.accelerator) else "32-true"
    return {"bf16": "bf16-mixed", "32": "32-true"}[config.precision]


def bf16_is_faster(accelerator: str = "auto") -> bool:
    """Return whether the device computes bfloat16 faster than float32, rather than emulating it.

    Args:
        accelerator: auto, cpu, gpu, or another name that Lightning knows.
    """
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if accelerator in ("auto", "cpu"):
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False
