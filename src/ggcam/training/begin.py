"""Begin a training run: check the options against the data, build the network, and create the run folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from ggcam.data.attention import uses_gaze
from ggcam.data.data_module import check_shares
from ggcam.data.label_gaze import is_weighted_by_default, with_label_gaze
from ggcam.data.prepared import PreparedData
from ggcam.data.views import apply_view
from ggcam.guidance import Guidance
from ggcam.models.cam import CAMClassifier
from ggcam.run_folder import RunFolder, create_run_folder
from ggcam.training.config import TrainConfig
from ggcam.training.data_checks import check_training_data, log_warnings, with_defined_monitor
from ggcam.training.initial_model import build_initial_model, initial_weights, log_initial_weights
from ggcam.training.model_spec import ModelSpec, guidance_of
from ggcam.training.precision import with_measured_precision
from ggcam.training.run import Run
from ggcam.training.trainer import count_processes, is_first_process


@dataclass(frozen=True, eq=False)
class ReadyRun:
    """A run that can be trained.

    Attributes:
        run: the run, in its folder.
        model: the network, with its initial weights unless there is a checkpoint.
        guidance: how gaze enters the loss.
        data: the data as the run sees them.
    """

    run: Run
    model: CAMClassifier
    guidance: Guidance
    data: PreparedData


def begin_run(
    data: PreparedData, config: TrainConfig, out: Path, name: str | None, processes: int | None = None
) -> ReadyRun:
    """Check options and data, build the network, and create the run folder.

    Args:
        data: the prepared folder.
        config: options of the training.
        out: folder of the runs; the new one is `out/<ID>`.
        name: ID of the run; None draws a random one.
        processes: number of processes of the training. Default: as many as Lightning will start.

    Returns:
        The run, not yet trained. Only the first process creates the folder.

    Raises:
        ConfigError: an option cannot work with these data or on this machine.
        RunFolderError: the name is already taken.
        WeightsError: `config.weights` does not hold the weights of the requested network of the original's.
    """
    guidance = guidance_of(config)
    if data.multi_label:
        guidance.check_multilabel()
    data = view_data(data, config)
    problems = check_training_data(data, config, guidance)
    if is_first_process():
        log_warnings(problems)
    config = with_defined_monitor(config, data)
    processes = count_processes(config) if processes is None else processes
    check_shares(config.batch_size, processes)
    spec = ModelSpec.from_config(config, data)
    model = build_initial_model(spec, config)
    config = with_measured_precision(config, spec, model, processes)
    # Only now: an option that cannot work must not leave a folder behind.
    if is_first_process():
        settings = {"data": data.root.resolve(), "train": asdict(config)}
        weights = initial_weights(model)
        described = spec.to_dict() | ({} if weights is None else {"initial_weights": weights.to_dict()})
        folder = create_run_folder(out, name, settings, described)
        log_initial_weights(model)
    else:
        folder = RunFolder(out, out)  # the other processes write nothing
    return ReadyRun(Run(folder, spec, config), model, guidance, data)


def view_data(data: PreparedData, config: TrainConfig) -> PreparedData:
    """Select the data of a run, with the fixations weighted for each label where the config says so.

    Before a control, so that shuffled gaze keeps the weights that it has in its own case.

    Args:
        data: the prepared folder.
        config: options of the training.

    Returns:
        The data as the run sees them.
    """
    by_default = config.label_gaze == "auto" and is_weighted_by_default(data)
    if uses_gaze(config.view.attention) and (by_default or config.label_gaze == "weighted"):
        data = with_label_gaze(data, config.label_cues)
    return apply_view(data, config.view)
