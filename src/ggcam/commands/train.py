"""`ggcam train` and `ggcam evaluate`: both end with the metrics of a run."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from ggcam.commands.arguments import Run
from ggcam.commands.terminal import print_table, progress_bar
from ggcam.data.case import Split
from ggcam.errors import ConfigError
from ggcam.training.config import TrainConfig, read_train_config
from ggcam.training.presets import Preset

ORIGINAL_WARNING = (
    "guidance original repeats the published code, defects included: it pulls the raw map of the first class towards "
    "the gaze on every image, with a weight that drowns the classification. It is for comparison with old results; "
    "use ggcam (the published method) or ggcam-cc for new ones."
)


def train(
    data: Positional[Annotated[Path | None, arg(metavar="DATA")]] = None,
    preset: Preset | None = None,
    config: OmitArgPrefixes[TrainConfig] = TrainConfig(),  # noqa: B008
    config_file: Annotated[Path | None, arg(name="config")] = None,
    out: Path = Path("run"),
    name: str | None = None,
    resume: Path | None = None,
    device: str | None = None,
) -> None:
    """Train a classifier on a prepared folder, evaluate it on the test split, and leave a run folder.

    Example: ggcam train DATA --guidance ggcam-cc --backbone resnet18 --num-stages 3

    The original GG-CAM's networks and schedule: ggcam train DATA --preset effnet-ggcam

    Args:
        data: the prepared folder.
        preset: start from this config instead of the defaults; flags given besides have the last word.
        config: how to train.
        config_file: a run's config.toml, or any TOML file with a table [train], in place of all flags.
        out: where runs are kept.
        name: name of the run's folder; random when left out.
        resume: an interrupted run's folder: go on with it instead.
        device: where to evaluate; a GPU if there is one.
    """
    from ggcam.data.prepared import load_prepared
    from ggcam.inference.probabilities import find_device
    from ggcam.training.fit import fit, is_first_process
    from ggcam.training.fit import resume as go_on

    silence_lightning()
    bar = sys.stderr.isatty()
    find_device(device)  # before the training, not after it
    if resume is not None:
        given = data or config_file or name is not None or preset or config != TrainConfig()
        if given:
            raise ConfigError("a resumed run has its own data and config", where="--resume", hint="give nothing else")
        run = go_on(resume, _print_epoch, bar)
    else:
        if config_file is not None:
            if preset or config != TrainConfig():
                raise ConfigError("flags and a config file exclude each other", where="--config")
            found, config = read_train_config(config_file)
            data = data or found
        if data is None:
            raise ConfigError("no data to train on", where="ggcam train DATA", expected="a prepared folder")
        if config.guidance == "original" and is_first_process():
            logging.getLogger(__name__).warning(ORIGINAL_WARNING)
        run = fit(load_prepared(data), config, out, name, _print_epoch, bar)
    if is_first_process():
        _evaluate(run.root, None, "test", device)


def evaluate(
    run: Run, data: Path | None = None, split: Split = "test", device: str | None = None, faithfulness_cases: int = 0
) -> None:
    """Evaluate a trained run again, and write its report, metrics, predictions and page anew.

    Example: ggcam evaluate run/K3F9Q

    Args:
        run: the run folder.
        data: the prepared folder; by default the one the run was trained on.
        split: which part of it.
        device: where to run; a GPU if there is one.
        faithfulness_cases: measure also, of so many cases at most, whether the score goes and comes with what the CAM marks
            (deletion and insertion); each takes as long as forty others.
    """
    _evaluate(run, data, split, device, faithfulness_cases)


def _evaluate(root: Path, data: Path | None, split: Split, device: str | None, faithfulness_cases: int = 0) -> None:
    from ggcam.evaluation.evaluate import evaluate as measure
    from ggcam.evaluation.evaluate import write_evaluation

    with progress_bar("evaluating") as progress:
        evaluation = measure(root, data, split, device, progress, faithfulness_cases)
    page = write_evaluation(root, evaluation).html_report
    metrics = evaluation.metrics

    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.3f}"

    def row(name: str, metric: Mapping[str, float], chance: Mapping[str, float] | None = None) -> list[str]:
        interval = f"{metric['low']:.3f} to {metric['high']:.3f}" if metric["low"] is not None else "-"
        return [name, number(metric["value"]), interval, "" if chance is None else number(chance["value"])]

    rows = [row("macro AUROC", metrics["macro_auroc"]), row("accuracy", metrics["accuracy"])]
    rows += [row(f"AUROC {name}", metric) for name, metric in metrics["auroc"].items()]
    rows += [row(name, found["hit_rate"], found["chance"]) for name, found in metrics["anatomy"].items()]
    for name, found in metrics["pointing_game"].items():
        rows.append(row(f"CAM peaks on the finding, {name}", found["hit_rate"], found["chance"]))
    for name, found in metrics.get("faithfulness", {}).items():
        if name != "cases":
            rows.append(row(f"{name.replace('_auc', '')} of what the CAM marks", found["cam"], found["chance"]))
    print_table([f"{split}, {metrics['cases']:,} cases", "value", "95 % interval", "chance"], rows)
    print(f"run folder: {root}")
    print(f"page: {page}")


def _print_epoch(row: Mapping[str, float]) -> None:
    print(
        f"epoch {row['epoch']:.0f}: loss {row['train_total']:.4f} (classification {row['train_classification']:.4f}, "
        f"guidance {row['train_guidance']:.4f}); validation loss {row['valid_classification']:.4f}, macro AUROC "
        f"{row['valid_macro_auroc']:.4f}, accuracy {row['valid_accuracy']:.4f}; rate {row['learning_rate']:.2e}; "
        f"{row['seconds']:.1f} s",
        flush=True,
    )


def silence_lightning() -> None:
    """Keep its warnings, but neither what it announces at every start nor each line twice."""
    import lightning.pytorch  # noqa: F401  (importing it sets its level and its own handler)

    for name in ("lightning.pytorch", "lightning.fabric"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        logger.handlers.clear()
