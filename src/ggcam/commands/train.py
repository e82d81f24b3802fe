"""`ggcam train`."""

from __future__ import annotations

import logging
import math
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from ggcam.commands.evaluate import evaluate_and_print
from ggcam.commands.terminal import duration, time_left
from ggcam.errors import ConfigError
from ggcam.training.config import TrainConfig, check_user_named, read_train_config
from ggcam.training.presets import Preset
from ggcam.utils.collector import collector_paused
from ggcam.utils.signals import Terminated
from ggcam.utils.user_code import is_reference

ORIGINAL_WARNING = (
    "guidance original reproduces the published code with its defects: it pulls the raw map of the first class towards "
    "the gaze in every image, with a weight that overwhelms the classification loss. Use it only to compare with old "
    "results, and ggcam (the published method) or ggcam-cc for new ones."
)


def train(
    data: Positional[Annotated[Path | None, arg(metavar="DATA")]] = None,
    preset: Preset | None = None,
    config: OmitArgPrefixes[Annotated[TrainConfig, arg(name="")]] = TrainConfig(),  # noqa: B008
    config_file: Annotated[Path | None, arg(name="config")] = None,
    out: Path = Path("run"),
    name: str | None = None,
    resume: Path | None = None,
    device: str | None = None,
    ray: str | None = None,
    ray_workers: int | None = None,
) -> None:
    """Train a classifier on a prepared folder and evaluate it.

    Example: ggcam train DATA --guidance ggcam-cc --backbone resnet18 --num-stages 3

    With the network and the schedule of the original GG-CAM: ggcam train DATA --preset effnet-ggcam

    The run folder holds the best network, its metrics on the test split, its predictions and a report.

    Args:
        data: prepared folder. Default: the one that --config or --resume names.
        preset: start from the options of this preset; other options override it. Default: the defaults below.
        config: options of the training.
        config_file: config.toml of a run, or another TOML file with a table [train], to use instead of all options.
        out: folder of the runs; the new run is a folder in it.
        name: name of the new run. Default: a random one.
        resume: run folder of an interrupted run to continue.
        device: device to evaluate on, such as cpu or cuda:1. Default: a GPU if there is one.
        ray: address of a Ray cluster to train on, auto for the cluster that this machine belongs to, or local to start
            one on this machine. Default: this machine, without Ray.
        ray_workers: number of processes on the cluster. Default: one per GPU, or per machine if it has no GPUs.
    """
    if ray_workers is not None and ray is None:
        raise ConfigError("--ray-workers needs a cluster", where="--ray-workers", hint="pass its address as --ray")
    with collector_paused():
        from ggcam.data.prepared import load_prepared
        from ggcam.inference.devices import find_device
        from ggcam.run_folder import random_code
        from ggcam.training.run import open_run
        from ggcam.training.train import resume as resume_training
        from ggcam.training.train import train as start_training
        from ggcam.training.trainer import is_first_process

    bar = sys.stderr.isatty()
    find_device(device)  # a wrong device must be reported before the training
    # The user's own guidance is imported only because the user names it, so it may be given beside a file.
    own_guidance = config.guidance if is_reference(config.guidance) else None
    only_guidance = config == (TrainConfig(guidance=own_guidance) if own_guidance else TrainConfig())
    if resume is not None:
        if data or config_file or name is not None or preset or not only_guidance:
            raise ConfigError(
                "a resumed run has its own data and config", where="--resume", hint="pass no other option"
            )
        prepared, printer = None, EpochPrinter(open_run(resume).config.epochs)
        with _note_resume(resume, own_guidance, ray, ray_workers):
            if ray is None:
                run = resume_training(resume, own_guidance, on_epoch=printer, progress_bar=bar)
            else:
                from ggcam.training.on_ray import resume_on_ray

                run = resume_on_ray(ray, ray_workers, resume, own_guidance, on_epoch=printer)
    else:
        if config_file is not None:
            if preset or not only_guidance:
                raise ConfigError("options and a config file exclude each other", where="--config")
            found, config = read_train_config(config_file)
            check_user_named(config.guidance, own_guidance, where=config_file)
            data = data or found
        if data is None:
            raise ConfigError("no data to train on", where="ggcam train DATA", expected="a prepared folder")
        if config.guidance == "original" and is_first_process():
            logging.getLogger(__name__).warning(ORIGINAL_WARNING)
        # It says which initial weights were loaded.
        logging.getLogger("ggcam.training.initial_model").setLevel(logging.INFO)
        prepared, printer = load_prepared(data), EpochPrinter(config.epochs)
        name = random_code() if name is None else name
        with _note_resume(out / name, own_guidance, ray, ray_workers):
            if ray is None:
                run = start_training(prepared, config, out, name, on_epoch=printer, progress_bar=bar)
            else:
                from ggcam.training.on_ray import train_on_ray

                run = train_on_ray(ray, ray_workers, prepared, config, out, name, on_epoch=printer)
    if is_first_process():
        evaluate_and_print(run.folder.root, prepared, device=device)


@contextmanager
def _note_resume(run: Path, own_guidance: str | None, ray: str | None, ray_workers: int | None) -> Iterator[None]:
    """Add the command that continues a run to the exception that interrupts it."""
    try:
        yield
    except (KeyboardInterrupt, Terminated, OSError) as error:
        if (run / "config.toml").is_file():
            words = ["ggcam", "train", "--resume", str(run)]
            for option, value in (("--guidance", own_guidance), ("--ray", ray), ("--ray-workers", ray_workers)):
                words += [] if value is None else [option, str(value)]
            error.add_note(f"resume with: {shlex.join(words)}")
        raise


class EpochPrinter:
    """Prints a line after each epoch.

    Args:
        epochs: maximum number of epochs of a run.
    """

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._seconds: list[float] = []

    def __call__(self, row: Mapping[str, float]) -> None:
        """Print the losses, the validation metrics and the time left.

        Args:
            row: row of the run's history.
        """
        epoch = int(row["epoch"])
        if epoch == 0:  # another run
            self._seconds.clear()
        self._seconds.append(row["seconds"])
        done = len(self._seconds)  # of a resumed run, the epochs since then
        left = time_left(sum(self._seconds), done, done + self._epochs - epoch - 1)
        split, name = ("test", "test") if "test_macro_auroc" in row else ("valid", "validation")
        loss, auroc, accuracy = (row[f"{split}_{metric}"] for metric in ("classification", "macro_auroc", "accuracy"))
        print(
            f"epoch {epoch + 1} of {self._epochs}: loss {row['train_total']:.4f} (classification "
            f"{row['train_classification']:.4f}, guidance {row['train_guidance']:.4f}); {name} loss "
            f"{loss:.4f}, macro AUROC {'-' if math.isnan(auroc) else f'{auroc:.4f}'}, accuracy {accuracy:.4f}; "
            f"learning rate {row['learning_rate']:.2e}; {duration(row['seconds'])}{left}",
            flush=True,
        )
