"""Predict image files into a folder: predictions.csv, an overlay per image, and errors.csv for unreadable files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import pandas as pd

from ggcam.data.find_images import OVERLAY_SUFFIX, find_images, image_stem
from ggcam.errors import ConfigError, ImageError, MissingFileError
from ggcam.inference.engines import EngineName
from ggcam.inference.predictor import Predictor, load_predictor
from ggcam.inference.result import PredictionResult
from ggcam.report.overlay import save_png
from ggcam.run_folder import PROBABILITY
from ggcam.training.typicality import ValidationMarks
from ggcam.utils.atomic import atomic_write
from ggcam.utils.csv_text import csv_text
from ggcam.utils.locks import locked_folder
from ggcam.utils.parallel import thread_count

UNUSUAL = "unusual"
"""Column of predictions.csv with the marks of an image and their reasons."""

TABLES = ("predictions.csv", "errors.csv", "dicom.csv")
"""Files in the folder beside the overlays."""


@runtime_checkable
class ResultWriter(Protocol):
    """Writes further files for each prediction, such as DICOM objects, into a folder of its own."""

    @property
    def folder(self) -> Path:
        """Folder to write to."""
        ...

    @property
    def table(self) -> pd.DataFrame:
        """What was written, and what could not be written and why."""
        ...

    def start(self, images: Sequence[Path]) -> None:
        """Check the images before any of them is predicted.

        Args:
            images: the files that will be predicted.
        """
        ...

    def write(self, image: Path, result: PredictionResult) -> None:
        """Write the files of one prediction. Several threads call this at a time.

        Args:
            image: the file.
            result: its prediction.
        """
        ...


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions for a list of image files.

    Attributes:
        table: one row per readable image, with the columns image, predicted, probability_<class>, unusual (why the
            image is unlike the training images, or empty; see :mod:`ggcam.training.typicality`) and overlay. Without
            `unusual` for a run that does not know its training images.
        failed: image -> why it could not be read.
        engine: name of the engine that computed them.
        validation_marks: how many validation images of the run were marked as unlike its training images; None for a
            run that does not know its training images.
    """

    table: pd.DataFrame
    failed: dict[str, str]
    engine: str
    validation_marks: ValidationMarks | None = None


def predict(
    root: Path,
    images: Sequence[Path],
    out: Path,
    overlays: bool = True,
    batch_size: int = 8,
    device: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    engine: EngineName = "auto",
    writer: ResultWriter | None = None,
) -> Predictions:
    """Predict image files and folders of image files, and write the results.

    Writes `predictions.csv`, an overlay of the predicted class's CAM for each image, and `errors.csv` if any image
    could not be read. In multi-label runs the predicted label is the most probable one, however improbable.

    Args:
        root: run folder, or an ONNX file of a run.
        images: PNG, JPEG, TIFF or DICOM files, or folders that are searched for them recursively; see
            :func:`ggcam.data.find_images.find_images`.
        out: folder to write to; created if missing.
        overlays: whether to draw overlays.
        batch_size: number of images in one forward pass.
        device: torch device; None for a GPU where there is one.
        progress: called with the number of finished images and the number of all images.
        engine: what runs the network; see :func:`ggcam.load_predictor`.
        writer: writes further files for each prediction; `dicom.csv` lists them.

    Returns:
        The table, the failed images and the engine.

    Raises:
        ConfigError: there are no images, the batch size is below 1, the device or engine does not exist, or `out` is a
            file.
        RunFolderError: the run is unfinished or damaged.
        WeightsError: the file is not an ONNX file written by ggcam.
        MissingFileError: a file or folder does not exist, or a folder contains no images.
        BusyError: another process is writing to `out`.
    """
    if batch_size < 1:
        raise ConfigError("the batch size must be at least 1", where="--batch-size", got=batch_size)
    if not images:
        raise ConfigError("no images to predict", where="ggcam predict RUN IMAGES", expected="files or folders")
    if out.exists() and not out.is_dir():
        raise ConfigError("the output folder exists and is a file", where=out, hint="choose another --out")
    names = _overlay_names(_find_images(images))
    if writer is not None:
        writer.start(list(names))
    predictor = load_predictor(root, device, engine, expected_images=len(names))
    out.mkdir(parents=True, exist_ok=True)
    further = None if writer is None or writer.folder.resolve() == out.resolve() else writer.folder
    with locked_folder(out), nullcontext() if further is None else locked_folder(further):
        for name in TABLES:  # first: the tables of an earlier call must not stand beside overlays of this one
            (out / name).unlink(missing_ok=True)
        rows, failed = _predict_and_draw(predictor, names, out, overlays, batch_size, progress, writer)
        table = pd.DataFrame(rows)
        errors = pd.DataFrame({"image": list(failed), "error": list(failed.values())})
        written = pd.DataFrame() if writer is None else writer.table
        for name, content in zip(TABLES, (table, errors, written), strict=True):
            if len(content):
                atomic_write(out / name, csv_text(content))
    return Predictions(table, failed, predictor.engine, predictor.validation_marks)


def _predict_and_draw(
    predictor: Predictor,
    names: Mapping[Path, str],
    out: Path,
    overlays: bool,
    batch_size: int,
    progress: Callable[[int, int], None] | None,
    writer: ResultWriter | None,
) -> tuple[list[dict[str, object]], dict[str, str]]:
    """Return the rows of the table, and why the other images could not be read."""
    rows: list[dict[str, object]] = []
    failed: dict[str, str] = {}
    with ThreadPoolExecutor(thread_count()) as pool:
        drawing: list[Future[None]] = []
        for batch in predictor.predict_batches(list(names), batch_size):
            _wait(drawing)  # overlays of the previous batch, drawn while this batch was computed
            for path, result in batch:
                if isinstance(result, ImageError):
                    failed[str(path)] = str(result)
                    continue
                rows.append(_row(path, result))
                if overlays:
                    rows[-1]["overlay"] = names[path]
                    drawing.append(pool.submit(_draw, result, out / names[path]))
                if writer is not None:
                    drawing.append(pool.submit(writer.write, path, result))
            if progress is not None:
                progress(len(rows) + len(failed), len(names))
        _wait(drawing)
    return rows, failed


def _row(path: Path, result: PredictionResult) -> dict[str, object]:
    probabilities = {PROBABILITY + name: value for name, value in result.probabilities.items()}
    row = {"image": str(path), "predicted": result.predicted, **probabilities}
    return row if result.unusual is None else {**row, UNUSUAL: _in_words(result.unusual)}


def _in_words(unusual: Mapping[str, str]) -> str:
    return "; ".join(f"{mark}: {reason}" for mark, reason in unusual.items())


def _draw(result: PredictionResult, path: Path) -> None:
    save_png(path, result.overlay())


def _wait(drawing: list[Future[None]]) -> None:
    """Wait for overlays, raise the error of one that could not be written, and empty the list."""
    for drawn in drawing:
        drawn.result()
    drawing.clear()


def _find_images(images: Sequence[Path]) -> list[Path]:
    """List the files, and the images in the folders, without duplicates."""
    found: dict[Path, None] = {}
    for path in images:
        if path.is_dir():
            inside = find_images(path)
            inside.report_skipped(path)
            if not inside.images:
                raise MissingFileError(
                    "the folder contains no images", where=path, expected="PNG, JPEG, TIFF or DICOM files"
                )
            found |= dict.fromkeys(path / name for name in inside.images)
        elif path.is_file():
            found[path] = None
        else:
            raise MissingFileError("the image does not exist", where=path)
    return list(found)


def _overlay_names(paths: Sequence[Path]) -> dict[Path, str]:
    """Name each overlay after its image, with a number where two images have the same name."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for path in paths:
        stem = image_stem(path.name)
        name, number = f"{stem}{OVERLAY_SUFFIX}", 2
        while name.lower() in taken:  # some file systems do not distinguish upper and lower case
            name, number = f"{stem}_{number}{OVERLAY_SUFFIX}", number + 1
        taken.add(name.lower())
        names[path] = name
    return names
