"""Train a classifier on a prepared folder, or continue an interrupted training run."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import lightning
import pandas as pd
import torch
from lightning.pytorch.callbacks import EarlyStopping, Timer

from ggcam.data.data_module import PreparedDataModule
from ggcam.data.prepared import PreparedData
from ggcam.errors import DivergenceError
from ggcam.guidance import OriginalGuidance
from ggcam.guidance.original import load_scalars
from ggcam.models import original, original_weights
from ggcam.models.weight_files import read_state_dict
from ggcam.report.diverged_page import write_diverged_report
from ggcam.report.training_plot import save_training_plot
from ggcam.run_folder import RunFolder, write_summary
from ggcam.training.begin import ReadyRun, begin_run, view_data
from ggcam.training.checkpoints import Checkpoints, find_checkpoint, has_checkpoint
from ggcam.training.config import TrainConfig, check_user_named
from ggcam.training.finish import save_best
from ggcam.training.history import History
from ggcam.training.initial_model import build_initial_model
from ggcam.training.lightning_module import GuidedTraining
from ggcam.training.loggers import create_loggers
from ggcam.training.losses import balanced_class_weights, log_odds
from ggcam.training.model_spec import guidance_of
from ggcam.training.plateau import Plateau
from ggcam.training.precision import with_measured_precision
from ggcam.training.run import Run, open_run
from ggcam.training.trainer import (
    DeviceOptions,
    count_processes,
    create_trainer,
    device_options,
    fit,
    is_first_process,
    quiet_lightning,
)
from ggcam.utils.atomic import atomic_write
from ggcam.utils.locks import locked_folder
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
        ConfigError: an option cannot work with these data or on this machine.
        DivergenceError: an output of the network or a loss is not finite. The run folder keeps the epochs before.
        RunFolderError: the name is already taken.
        KeyboardInterrupt, SystemExit: Ctrl-C or SIGTERM interrupts the training; `resume` continues the run.
        WeightsError: `config.weights` does not hold the weights of the requested network of the original's.

    Example:
        >>> run = train(load_prepared("DATA"), TrainConfig(epochs=5), out="run", name="mine")  # doctest: +SKIP
        >>> run.history["valid_macro_auroc"].max()  # doctest: +SKIP
        0.81
    """
    ready = begin_run(data, config or TrainConfig(), Path(out), name)
    with _locked(ready.run.folder):
        return _train(ready, on_epoch, progress_bar)


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
        RunFolderError: the folder is not a run folder, is damaged, or its data have other classes or another frame now;
            or it has checkpoints, and none of them can be used.
        BusyError: another process is training the run.
        PreparedFolderError: its data do not exist any more.
        ConfigError: the run's guidance is a class of your own and `guidance` does not name it.
    """
    return continue_run(open_run(root), guidance, on_epoch=on_epoch, progress_bar=progress_bar)


def continue_run(
    run: Run,
    guidance: str | None,
    data: Path | None = None,
    *,
    on_epoch: OnEpoch | None = None,
    progress_bar: bool = False,
    devices: DeviceOptions = device_options,
) -> Run:
    """Continue a run after its last complete epoch, or with its first; see :func:`resume`.

    Args:
        run: the run.
        guidance: the run's guidance, if it is a class of the user's own.
        data: its prepared folder. Default: the one that the run folder names.
        on_epoch: called with each row of the history.
        progress_bar: whether to draw a progress bar on the terminal.
        devices: where to compute.

    Returns:
        The finished run.
    """
    with _locked(run.folder):
        if run.folder.weights.is_file():
            return run
        check_user_named(run.config.guidance, guidance, where=run.folder.config)
        viewed = view_data(run.data(data), run.config)
        run.spec.check_match(viewed)
        begun = has_checkpoint(run.folder.checkpoints)
        if not begun and run.folder.history.is_file():
            log.warning("there is no checkpoint, so training starts again: %s", run.folder.checkpoints)
        model = build_initial_model(run.spec, run.config, begun)
        # Only a run of an earlier version leaves the precision open.
        config = with_measured_precision(run.config, run.spec, model, count_processes(run.config, devices))
        ready = ReadyRun(replace(run, config=config), model, guidance_of(config), viewed)
        return _train(ready, on_epoch, progress_bar, devices)


@contextmanager
def _locked(folder: RunFolder) -> Iterator[None]:
    """Hold the lock of a run in the process that writes its files."""
    with locked_folder(folder.root) if is_first_process() else nullcontext():
        yield


def _train(
    ready: ReadyRun, on_epoch: OnEpoch | None, progress_bar: bool, devices: DeviceOptions = device_options
) -> Run:
    run, model, data = ready.run, ready.model, ready.data
    folder, config = run.folder, run.config
    class_weights = None
    labels = data.labels_of(data.cases.loc[data.cases["split"] == "train"])
    if config.class_weights == "balanced":
        class_weights = balanced_class_weights(labels, len(data.class_names))
    network = model.to(memory_format=torch.channels_last)
    with local_seed(config.seed):  # for the layers of a guidance
        module = GuidedTraining(network, ready.guidance, config, data.frame.shape, class_weights)
    checkpoint = find_checkpoint(folder.checkpoints, module)
    if checkpoint is None and data.multi_label and not original.is_original(model):
        model.head.start_at(log_odds(labels, class_weights))
    if config.weights is not None and checkpoint is None:
        start_guidance(module, config.weights)
    history = History(folder.history, on_epoch)
    callbacks: list[lightning.Callback] = [
        history,
        Checkpoints(folder.checkpoints, config.monitored, config.monitor_mode),
    ]
    if config.early_stop_patience is not None:
        callbacks.append(
            _EarlyStopping(config.monitored, mode=config.monitor_mode, patience=config.early_stop_patience)
        )
    if config.max_hours is not None:
        callbacks.append(_TimeLimit(config.max_hours))
    if config.schedule == "plateau":
        callbacks.append(
            Plateau(config.monitored, config.monitor_mode, config.patience, config.min_lr, config.reload_best)
        )
    with warnings.catch_warnings(), quiet_lightning():
        # Lightning recommends more worker processes, which images in memory do not need, and finer logging.
        warnings.filterwarnings("ignore", module="lightning")
        trainer = create_trainer(
            config,
            devices,
            max_epochs=config.epochs,
            gradient_clip_val=config.clip_norm or None,
            callbacks=callbacks,
            logger=create_loggers(folder.root),
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_model_summary=False,
            enable_progress_bar=progress_bar,
        )
        batches = PreparedDataModule(
            data, config.batch_size, config.seed, config.cache, config.workers, config.region_shape, config.selection
        )
        with local_seed(config.seed), _noted_divergence(folder, history):
            # Checkpointing is for those who have more time than memory.
            fit(trainer, module, batches, checkpoint, keep_memory=not config.checkpointing)
    if trainer.is_global_zero:
        write_summary(folder, sum(row["seconds"] for row in history.rows), str(trainer.strategy.root_device))
        rows = pd.DataFrame(history.rows)
        save_training_plot(rows, folder.training_plot, metric=config.monitored_column, mode=config.monitor_mode)
        save_best(run, module, batches)
    return replace(run, folder=trainer.strategy.broadcast(folder))


@contextmanager
def _noted_divergence(folder: RunFolder, history: History) -> Iterator[None]:
    """Note in the run folder that the training diverged; its checkpoints stay as the epochs before left them."""
    if is_first_process():
        folder.divergence.unlink(missing_ok=True)
    try:
        yield
    except DivergenceError as error:
        if is_first_process():
            atomic_write(folder.divergence, f"{error}\n")
            config = folder.config.read_text(encoding="utf-8")
            write_diverged_report(folder.root.name, str(error), pd.DataFrame(history.rows), config, folder.html_report)
        raise


def start_guidance(module: GuidedTraining, weights: Path) -> None:
    """Load the scalars of the loss from a file of the original's, if the guidance is the original's as well.

    Args:
        module: training module, changed in place.
        weights: the file, a NET.pt.
    """
    if isinstance(module.guidance, OriginalGuidance) and original.is_original(module.model):
        load_scalars(module.guidance, original_weights.scalars_in_state(read_state_dict(weights)))


class _EarlyStopping(EarlyStopping):
    """Early stopping that also holds for a run that was interrupted after its last epoch."""

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Stop at once if patience had run out before the checkpoint was written."""
        super().on_train_start(trainer, pl_module)
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience


class _TimeLimit(Timer):
    """Time limit of a run, which says when it has ended the training."""

    def __init__(self, max_hours: float):
        super().__init__(timedelta(hours=max_hours), interval="epoch", verbose=False)
        self._max_hours = max_hours

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Log a warning if the training ended before its last epoch because the time was up."""
        super().on_train_end(trainer, pl_module)
        remaining, epochs = self.time_remaining(), trainer.max_epochs or 0
        if is_first_process() and remaining is not None and remaining <= 0 and trainer.current_epoch < epochs:
            done = f"{trainer.current_epoch} of {epochs} epochs"
            log.warning("the time limit of %g hours ended the training after %s", self._max_hours, done)
