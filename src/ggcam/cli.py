"""The command line: parse, call, print. Everything heavy is imported inside the command that needs it."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import tyro
from tyro.conf import OmitArgPrefixes, Positional, arg

from ggcam.data.case import Split
from ggcam.data.prepare_config import PrepareConfig
from ggcam.data.simulate.config import SimulationConfig
from ggcam.errors import ConfigError, GGCamError
from ggcam.training.config import TrainConfig, read_train_config

DESCRIPTION = (
    "Gaze-guided class activation mapping: image classifiers that look where radiologists looked. For research use."
)

app = tyro.extras.SubcommandApp()


@app.command
def simulate(
    out: Positional[Path],
    config: OmitArgPrefixes[SimulationConfig] = SimulationConfig(),  # noqa: B008
) -> None:
    """Make chest X-ray phantoms with gaze and known truth, in the raw layout of EGD-CXR.

    Example: ggcam simulate raw --cases 1090 --shortcut 0.8

    Args:
        out: folder to make.
        config: what to draw.
    """
    from ggcam.data.simulate.simulator import simulate as run

    with _progress("simulating") as progress:
        summary = run(out, config, progress)
    counts = {**summary.per_class, **summary.per_split}
    _table(["cases", *counts], [[f"{summary.cases:,}", *(f"{n:,}" for n in counts.values())]])
    print(f"{summary.fixations:,} fixations. Next: ggcam prepare {out} DATA --split-file {out / 'split.csv'}")


@app.command
def prepare(
    raw: Positional[Path],
    out: Positional[Path],
    source: str = "auto",
    images: Path | None = None,
    labels: Path | None = None,
    fixations: Path | None = None,
    viewing_distance_cm: float | None = None,
    config: OmitArgPrefixes[PrepareConfig] = PrepareConfig(),  # noqa: B008
) -> None:
    """Turn a raw data set into a prepared folder: images in one frame, gaze and regions beside them, splits by patient.

    Example: ggcam prepare physionet.org/files/egd-cxr/1.0.0 DATA --images physionet.org/files/mimic-cxr/2.0.0

    A second call after an interruption goes on where the first one stopped.

    Args:
        raw: folder of the raw data.
        out: folder to make.
        source: format of the raw data: auto, egd_cxr or folder.
        images: (egd_cxr) where the MIMIC-CXR or MIMIC-CXR-JPG images are, if not in the raw folder.
        labels: (folder) table with image, label and if wanted patient_id and split; by default labels.csv.
        fixations: (folder) table with image, x_px, y_px and if wanted start_s, duration_s, reader.
        viewing_distance_cm: (egd_cxr) assumed distance of the reader from the screen; 65 by default.
        config: how to prepare.
    """
    from ggcam.data.prepare import prepare as run
    from ggcam.data.prepared import summary_table
    from ggcam.data.sources import read

    options = {
        "images": images,
        "labels": labels,
        "fixations": fixations,
        "viewing_distance_cm": viewing_distance_cm,
        "skip_missing": config.skip_missing or None,
    }
    found = read(raw, source, **{name: value for name, value in options.items() if value is not None})
    with _progress("preparing") as progress:
        data = run(found, out, config, progress)
    head, *rows = summary_table(data)
    _table(head, rows)
    dropped: Mapping[str, int] = data.meta["dropped"]
    if dropped:
        _table(["what was left out, and why", "count"], [[name, f"{n:,}"] for name, n in dropped.items()])
    print(f"{len(data):,} cases in {out}. Next: ggcam inspect {out}; ggcam train {out}")


@app.command
def inspect(data: Positional[Path], out: Path | None = None, per_class: int = 4, seed: int = 0) -> None:
    """Count a prepared folder's cases, and draw some of each class: scanpath, attention map, regions.

    Example: ggcam inspect DATA

    Args:
        data: the prepared folder.
        out: picture to write; DATA-inspect.png beside the folder by default.
        per_class: cases drawn of each class.
        seed: chooses them.
    """
    from ggcam.data.prepared import load_prepared, summary_table
    from ggcam.report.contact_sheet import contact_sheet

    prepared = load_prepared(data)
    head, *rows = summary_table(prepared)
    _table(head, rows)
    picture = out or data.resolve().with_name(f"{data.resolve().name}-inspect.png")
    print(contact_sheet(prepared, picture, per_class=per_class, seed=seed))


@app.command
def train(
    data: Positional[Path | None] = None,
    config: OmitArgPrefixes[TrainConfig] = TrainConfig(),  # noqa: B008
    config_file: Annotated[Path | None, arg(name="config")] = None,
    out: Path = Path("run"),
    name: str | None = None,
    resume: Path | None = None,
    device: str | None = None,
) -> None:
    """Train a classifier on a prepared folder, evaluate it on the test split, and leave a run folder.

    Example: ggcam train DATA --guidance ggcam-cc --backbone resnet18 --seed 0

    Args:
        data: the prepared folder.
        config: how to train.
        config_file: a run's config.toml, or any TOML file with a table [train], in place of all flags.
        out: where runs are kept.
        name: name of the run's folder; random when left out.
        resume: an interrupted run's folder: go on with it instead.
        device: where to evaluate; a GPU if there is one.
    """
    from ggcam.data.prepared import load_prepared
    from ggcam.models.inference import find_device
    from ggcam.training.fit import fit, is_first_process
    from ggcam.training.fit import resume as go_on

    _quieten_lightning()
    bar = sys.stderr.isatty()
    find_device(device)  # before the training, not after it
    if resume is not None:
        given = data is not None or config_file is not None or name is not None or config != TrainConfig()
        if given:
            raise ConfigError("a resumed run has its own data and config", where="--resume", fix="give nothing else")
        run = go_on(resume, _print_epoch, bar)
    else:
        if config_file is not None:
            if config != TrainConfig():
                raise ConfigError("flags and a config file exclude each other", where="--config")
            found, config = read_train_config(config_file)
            data = data or found
        if data is None:
            raise ConfigError("no data to train on", where="ggcam train DATA", expected="a prepared folder")
        run = fit(load_prepared(data), config, out, name, _print_epoch, bar)
    if is_first_process():
        _evaluate(run.root, None, "test", device)


@app.command
def evaluate(run: Positional[Path], data: Path | None = None, split: Split = "test", device: str | None = None) -> None:
    """Evaluate a trained run again, and write its report, metrics, predictions and page anew.

    Example: ggcam evaluate run/K3F9Q

    Args:
        run: the run folder.
        data: the prepared folder; by default the one the run was trained on.
        split: which part of it.
        device: where to run; a GPU if there is one.
    """
    _evaluate(run, data, split, device)


@app.command
def predict(
    run: Positional[Path],
    images: Positional[tuple[Path, ...]],
    out: Path = Path("predictions"),
    overlays: bool = True,
    batch_size: int = 8,
    device: str | None = None,
) -> None:
    """Predict new images with a trained run; no gaze is needed. For research use; not a medical device.

    Example: ggcam predict run/K3F9Q chest.dcm folder_of_images --out answers

    Writes predictions.csv and an overlay of the predicted class's activation map for each image.

    Args:
        run: the run folder.
        images: PNG, JPEG, TIFF or DICOM files, or folders of them.
        out: where to write.
        overlays: draw the activation maps.
        batch_size: images in one forward pass.
        device: where to run; a GPU if there is one.
    """
    from ggcam.predict import predict as answer

    with _progress("predicting") as progress:
        predictions = answer(run, images, out, overlays, batch_size, device, progress)
    table = predictions.table
    if len(table):
        shares = table["predicted"].value_counts()
        _table(["predicted", "images"], [[str(name), f"{n:,}"] for name, n in shares.items()])
        print(f"{len(table):,} images in {out / 'predictions.csv'}")
    for error in predictions.failed.values():
        print(error, file=sys.stderr)
    if predictions.failed:
        print(f"{len(predictions.failed):,} images failed: {out / 'errors.csv'}", file=sys.stderr)
        sys.exit(1)


@app.command
def report(run: Positional[Path], out: Path | None = None) -> None:
    """Write the page of an evaluated run anew: one HTML file that needs nothing else.

    Example: ggcam report run/K3F9Q

    Args:
        run: the run folder.
        out: the page; report.html in the run folder by default.
    """
    from ggcam.report.page import write_run_report
    from ggcam.report.run_results import read_results
    from ggcam.run_folder import open_run_folder

    folder = open_run_folder(run)
    page = out or folder.page
    write_run_report(read_results(folder), page)
    print(page)


@app.command
def demo(out: Path = Path("demo"), overwrite: bool = False, seed: int = 0) -> None:
    """The main job on simulated data, in a few minutes: simulate, prepare, train twice, evaluate, predict.

    Example: ggcam demo --out demo

    Args:
        out: folder to make.
        overwrite: replace an earlier demo's folder.
        seed: of everything.
    """
    from ggcam.demo import run_demo

    _quieten_lightning()
    print("ggcam demo: does a classifier do better when it is shown where the reader looked? (simulated data)")
    result = run_demo(out, overwrite, seed, print, progress_bar=sys.stderr.isatty())
    _table(result.head, result.rows)
    print(f"image, gaze, and class activation maps without and with guidance: {result.picture}")
    print(f"pages: {', '.join(str(page) for page in result.pages)}")


def _evaluate(root: Path, data: Path | None, split: Split, device: str | None) -> None:
    from ggcam.evaluate import evaluate as measure
    from ggcam.evaluate import write_evaluation

    with _progress("evaluating") as progress:
        evaluation = measure(root, data, split, device, progress)
    page = write_evaluation(root, evaluation).page
    metrics = evaluation.metrics

    def row(name: str, figure: Mapping[str, float], chance: float | None = None) -> list[str]:
        interval = f"{figure['low']:.3f} to {figure['high']:.3f}" if figure["low"] is not None else "-"
        value = f"{figure['value']:.3f}" if figure["value"] is not None else "-"
        return [name, value, interval, "" if chance is None else f"{chance:.3f}"]

    rows = [row("macro AUROC", metrics["macro_auroc"]), row("accuracy", metrics["accuracy"])]
    rows += [row(f"AUROC {name}", figure) for name, figure in metrics["auroc"].items()]
    rows += [row(name, found["hit_rate"], found["chance"]) for name, found in metrics["anatomy"].items()]
    for name, found in metrics["pointing_game"].items():
        rows.append(row(f"CAM peaks on the finding, {name}", found["hit_rate"], found["chance"]))
    _table([f"{split}, {metrics['cases']:,} cases", "value", "95 % interval", "chance"], rows)
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


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*head)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _quieten_lightning() -> None:
    """Keep its warnings, but neither what it announces at every start nor each line twice."""
    import lightning.pytorch  # noqa: F401  (importing it sets its level and its own handler)

    for name in ("lightning.pytorch", "lightning.fabric"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        logger.handlers.clear()


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on the terminal, on standard error; nothing where that is a file."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: exit code 0 on success, 2 on a user's mistake, 1 on a fault."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        app.cli(prog="ggcam", description=DESCRIPTION, args=arguments)
    except GGCamError as error:
        print(f"ggcam: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.filename is None:
            _fault()
        print(f"ggcam: {error.strerror}\n  where: {error.filename}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("ggcam: interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception:
        _fault()


def _fault() -> NoReturn:
    """Say that the error in hand is none of the user's."""
    traceback.print_exc()
    print("ggcam: this is a fault of the program; please report it with the lines above", file=sys.stderr)
    sys.exit(1)
