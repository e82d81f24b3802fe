"""Train a classifier on a prepared folder, or go on with a training that was interrupted."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import asdict
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

from ggcam.data.dataset import PreparedDataModule
from ggcam.data.prepared import PreparedData
from ggcam.data.views import apply_view
from ggcam.errors import ConfigError
from ggcam.guidance import OriginalGuidance, create_guidance
from ggcam.guidance.original import start_from
from ggcam.models import original
from ggcam.models.cam import CAMClassifier
from ggcam.models.checkpointing import checkpoint_gradients
from ggcam.report.plots import training_process
from ggcam.run_folder import RunFolder, create_run_folder, data_of, open_run_folder, write_summary
from ggcam.training.config import TrainConfig, config_from_dict
from ggcam.training.history import History
from ggcam.training.lightning_module import GuidedTraining
from ggcam.training.model_spec import ModelSpec, network_file
from ggcam.training.plateau import BEST, Plateau
from ggcam.utils.atomic import atomic_path
from ggcam.utils.seeding import local_seed

log = logging.getLogger(__name__)

OnEpoch = Callable[[dict[str, float]], None]


def fit(
    data: PreparedData,
    config: TrainConfig,
    parent: Path = Path("run"),
    name: str | None = None,
    on_epoch: OnEpoch | None = None,
    progress_bar: bool = False,
) -> RunFolder:
    """Train and leave a run folder with the best network in it.

    Args:
        data: the prepared folder, as it lies there; the config says how it is arranged.
        config: of the training.
        parent: the run becomes `parent/<ID>`.
        name: the ID; random when None.
        on_epoch: called with each row of the history.
        progress_bar: draw one on the terminal.

    Raises:
        ConfigError: an option that cannot work with these data or this machine.
        RunFolderError: the name is taken.
        WeightsError: `weights` is no file of the original network that is asked for.
    """
    guidance = create_guidance(config.guidance)
    if data.multi_label:
        guidance.check_multilabel()
    data = apply_view(data, config.view)
    _check(data, config.guidance)
    _trainer(**_machine(config), logger=False, enable_checkpointing=False, enable_model_summary=False)
    description = ModelSpec.from_config(config, data)
    model = _network(description, config)
    # Only now: an option that cannot work shall not leave a folder behind.
    if is_first_process():
        settings = {"data": data.root.resolve(), "train": asdict(config)}
        run = create_run_folder(parent, name, settings, description.to_dict())
    else:
        run = RunFolder(parent, parent)  # the other processes write nothing
    return _train(run, model, data, config, on_epoch, progress_bar)


def resume(root: Path, on_epoch: OnEpoch | None = None, progress_bar: bool = False) -> RunFolder:
    """Go on with an interrupted training from its last whole epoch; on one CPU, to the very same weights.

    A run that has finished training is returned as it is.

    Raises:
        RunFolderError: it is not a run folder, or a damaged one, or its data have other classes or another frame now.
        PreparedFolderError: its data are gone.
    """
    run = open_run_folder(root)
    if run.weights.is_file():
        return run
    config = config_from_dict(run.settings["train"], where=run.root / "config.toml")
    data = apply_view(data_of(run), config.view)
    description = ModelSpec.from_run(run)
    description.check_match(data)
    model = _network(description, config, begun=run.last_checkpoint.is_file())
    return _train(run, model, data, config, on_epoch, progress_bar)


def _check(data: PreparedData, guidance: str) -> None:
    for split in ("train", "valid"):
        if split not in set(data.cases["split"]):
            raise ConfigError(
                f"there are no {split} cases", where=data.root, hint="prepare the data with another split"
            )
    if guidance != "none" and not data.cases.loc[data.cases["split"] == "train", "has_gaze"].any():
        log.warning("no training case has gaze, so that guidance %s adds nothing: %s", guidance, data.root)


def _network(description: ModelSpec, config: TrainConfig, begun: bool = False) -> CAMClassifier:
    """As training starts. Once begun, a checkpoint has the weights, and a file to start from may be gone."""
    with local_seed(config.seed):
        model = description.build(config.pretrained and not begun, None if begun else config.weights)
    if config.checkpointing:
        checkpoint_gradients(model.backbone)
    return model


def _train(
    run: RunFolder,
    model: CAMClassifier,
    data: PreparedData,
    config: TrainConfig,
    on_epoch: OnEpoch | None,
    progress_bar: bool,
) -> RunFolder:
    frame = data.frame.shape
    guidance = create_guidance(config.guidance, config.guidance_weight)
    module = GuidedTraining(model.to(memory_format=torch.channels_last), guidance, config, frame)
    begun = run.last_checkpoint if run.last_checkpoint.is_file() else None
    if config.weights is not None and begun is None:
        start_guidance(module, config.weights)
    best = ModelCheckpoint(
        run.checkpoints,
        filename=Path(BEST).stem,
        monitor=config.monitored,
        mode=config.monitor_mode,
        enable_version_counter=False,
    )
    # Of its own, because Lightning's `save_last` skips every epoch that is not the best so far.
    last = ModelCheckpoint(run.checkpoints, filename=run.last_checkpoint.stem, enable_version_counter=False)
    history = History(run.history, on_epoch)
    callbacks: list[lightning.Callback] = [history, best, last]  # the first checkpoint's state is part of the second
    if config.early_stop_patience is not None:
        callbacks.append(EarlyStopping(config.monitored, mode=config.monitor_mode, patience=config.early_stop_patience))
    if config.max_hours is not None:
        callbacks.append(Timer(timedelta(hours=config.max_hours), interval="epoch", verbose=False))
    if config.schedule == "plateau":
        callbacks.append(
            Plateau(config.monitored, config.monitor_mode, config.patience, config.min_lr, config.reload_best)
        )
    with warnings.catch_warnings():
        # Lightning advises more worker processes, which images in memory do not need, and finer logging.
        warnings.filterwarnings("ignore", module="lightning")
        trainer = _trainer(
            max_epochs=config.epochs,
            **_machine(config),
            gradient_clip_val=config.clip_norm or None,
            callbacks=callbacks,
            logger=[CSVLogger(run.root, "logs"), TensorBoardLogger(run.root, "logs", version="tensorboard")],
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_model_summary=False,
            enable_progress_bar=progress_bar,
        )
        module_data = PreparedDataModule(data, config.batch_size, config.seed, config.cache, config.workers)
        with local_seed(config.seed):
            trainer.fit(
                module,
                module_data,
                ckpt_path=begun,
                weights_only=False,
            )
    if trainer.is_global_zero:
        write_summary(run, sum(row["seconds"] for row in history.rows), str(trainer.strategy.root_device))
        metric = config.monitored.replace("/", "_")
        training_process(pd.DataFrame(history.rows), run.training_plot, metric=metric, mode=config.monitor_mode)
        _keep_best(run, module)
    return trainer.strategy.broadcast(run)


def start_guidance(module: GuidedTraining, weights: Path) -> None:
    """A file of the original's holds the scalars of its loss too, which only this loss starts from."""
    if isinstance(module.guidance, OriginalGuidance) and original.is_original(module.model):
        start_from(module.guidance, original.scalars_of(original.read_state(weights)))


def is_first_process() -> bool:
    """Whether this process writes files and prints: always, but for the others of a distributed run."""
    return getattr(rank_zero_only, "rank", 0) == 0


def _machine(config: TrainConfig) -> dict[str, Any]:
    """Where and how precisely to compute, in the words of Lightning's trainer."""
    return {
        "accelerator": config.accelerator,
        "devices": config.devices,
        "num_nodes": config.nodes,
        "strategy": config.strategy,
        "precision": _precision(config),
    }


def _trainer(**options: Any) -> lightning.Trainer:
    """Lightning's trainer; what it refuses is the user's choice of devices, strategy or precision."""
    try:
        return lightning.Trainer(**options)
    except (MisconfigurationException, ValueError) as error:
        raise ConfigError(
            f"this machine cannot train so: {str(error).splitlines()[0]}",
            where="--accelerator, --devices, --nodes, --strategy, --precision",
        ) from error


def _keep_best(run: RunFolder, module: GuidedTraining) -> None:
    """`NET.pt` from the best checkpoint; its presence says that training has finished."""
    state = torch.load(run.checkpoints / BEST, map_location="cpu", weights_only=False)["state_dict"]
    module.cpu().load_state_dict(state)
    with atomic_path(run.weights) as aside:
        torch.save(network_file(module.model, module.guidance), aside)


def _precision(config: TrainConfig) -> Any:
    if config.precision == "auto":
        return "bf16-mixed" if bf16_is_faster(config.accelerator) else "32-true"
    return {"bf16": "bf16-mixed", "32": "32-true"}[config.precision]


def bf16_is_faster(accelerator: str = "auto") -> bool:
    """Whether the device computes in bfloat16 faster than in float32, rather than by emulating it."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if accelerator in ("auto", "cpu"):
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False
