"""Predict image files into a folder: predictions.csv, an overlay per image, and errors.csv for unreadable files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ggcam.data.find_images import OVERLAY_SUFFIX, find_images, image_stem
from ggcam.errors import ConfigError, ImageError, MissingFileError
from ggcam.inference.engines import EngineName
from ggcam.inference.prediction_folder import PREDICTIONS, Call, PredictionFolder, network_digest, unfinished_call
from ggcam.inference.predictor import Predictor, load_predictor
from ggcam.inference.result import PredictionResult
from ggcam.report.overlay import save_png
from ggcam.run_folder import PROBABILITY
from ggcam.training.typicality import ValidationMarks
from ggcam.utils.locks import locked_folder
from ggcam.utils.parallel import thread_count

if TYPE_CHECKING:
    import pandas as pd

UNUSUAL = "unusual"
"""Column of predictions.csv with the marks of an image and their reasons."""


@runtime_checkable
class ResultWriter(Protocol):
    """Writes further files for each prediction, such as DICOM objects, into a folder of its own."""

    @property
    def folder(self) -> Path:
        """Folder to write to."""
        ...

    @property
    def fingerprint(self) -> str:
        """Text that another writer has only if it can go on with the files of this one."""
        ...

    def start(self, images: Sequence[Path]) -> None:
        """Check the images before any of them is predicted.

        Args:
            images: the files that will be predicted.
        """
        ...

    def write(self, image: Path, result: PredictionResult) -> Sequence[Mapping[str, str]]:
        """Write the files of one prediction. Several threads call this at a time.

        Args:
            image: the file.
            result: its prediction.

        Returns:
            Rows of dicom.csv: what was written, or why nothing was.
        """
        ...


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions for a list of image files.

    Attributes:
        path: the file predictions.csv, which exists if any image could be read.
        counts: class -> number of images for which it was predicted.
        unusual: number of images that are unlike the training images; None for a run that does not know them.
        failed: image -> why it could not be read.
        engine: name of the engine that computed them.
        validation_marks: how many validation images of the run were marked as unlike its training images; None for a
            run that does not know its training images.
        resumed: number of images that an interrupted call had predicted.
    """

    path: Path
    counts: Mapping[str, int]
    unusual: int | None
    failed: Mapping[str, str]
    engine: str
    validation_marks: ValidationMarks | None = None
    resumed: int = 0

    @cached_property
    def table(self) -> pd.DataFrame:
        """Content of predictions.csv: one row per readable image.

        Columns: image, predicted, probability_<class>, unusual (why the image is unlike the training images, or empty;
        see :mod:`ggcam.training.typicality`; not for a run that does not know its training images) and, if they were
        drawn, overlay.
        """
        import pandas as pd  # here: it takes longer to import than an image to predict

        if not self.path.is_file():
            return pd.DataFrame()
        texts: dict[Hashable, type[str]] = dict.fromkeys(("image", "predicted", UNUSUAL, "overlay"), str)
        return pd.read_csv(self.path, dtype=texts, keep_default_na=False, float_precision="round_trip")


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
    overwrite: bool = False,
) -> Predictions:
    """Predict image files and folders of image files, and write the results.

    Writes `predictions.csv`, an overlay of the predicted class's CAM for each image, and `errors.csv` if any image
    could not be read. In multi-label runs the predicted label is the most probable one, however improbable.

    The tables grow with each batch. If the call is interrupted, the same call goes on with the missing images. The
    results of a finished call are replaced.

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
        overwrite: whether to start over where an interrupted call has left results.

    Returns:
        The table, the failed images and the engine.

    Raises:
        ConfigError: there are no images, the batch size is below 1, the device or engine does not exist, `out` is a
            file, or it has the unfinished results of another call.
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
    unfinished = None if overwrite else unfinished_call(out)
    if unfinished is not None and engine == "auto":
        engine = unfinished.engine
    predictor = load_predictor(root, device, engine, expected_images=len(names))
    call = Call(
        network_digest(root),
        predictor.engine,
        _columns(predictor, overlays),
        "" if writer is None else writer.fingerprint,
    )
    out.mkdir(parents=True, exist_ok=True)
    further = None if writer is None or writer.folder.resolve() == out.resolve() else writer.folder
    with locked_folder(out), nullcontext() if further is None else locked_folder(further):
        folder = PredictionFolder(out, call, names, None if overwrite else unfinished_call(out))
        tally = _Tally(folder, progress, len(names))
        with ThreadPoolExecutor(thread_count()) as pool:
            writing: _Batch | None = None
            for batch in predictor.predict_batches(folder.missing, batch_size):
                if writing is not None:  # its files are written while this batch was computed
                    tally.add(writing)
                writing = _Batch(batch, pool, out, names if overlays else None, writer)
            if writing is not None:
                tally.add(writing)
        folder.finish()
    unusual = tally.unusual if UNUSUAL in call.columns else None
    return Predictions(
        out / PREDICTIONS,
        tally.counts,
        unusual,
        tally.failed,
        predictor.engine,
        predictor.validation_marks,
        len(folder.kept),
    )


class _Batch:
    """The rows of a batch, and the overlays and other files of it that threads are writing."""

    def __init__(
        self,
        batch: Sequence[tuple[Path, PredictionResult | ImageError]],
        pool: ThreadPoolExecutor,
        out: Path,
        overlays: Mapping[Path, str] | None,
        writer: ResultWriter | None,
    ):
        self.rows: list[dict[str, object]] = []
        self.errors: list[dict[str, object]] = []
        self._drawing: list[Future[None]] = []
        self._writing: list[Future[Sequence[Mapping[str, str]]]] = []
        for path, result in batch:
            if isinstance(result, ImageError):
                self.errors.append({"image": str(path), "error": str(result)})
                continue
            self.rows.append(_row(path, result))
            if overlays is not None:
                self.rows[-1]["overlay"] = overlays[path]
                self._drawing.append(pool.submit(_draw, result, out / overlays[path]))
            if writer is not None:
                self._writing.append(pool.submit(writer.write, path, result))

    def wait(self) -> list[Mapping[str, str]]:
        """Wait for the files, raise the error of one that could not be written, and return the rows of dicom.csv."""
        for drawn in self._drawing:
            drawn.result()
        return [row for written in self._writing for row in written.result()]


class _Tally:
    """Adds finished batches to the tables and counts what is in them."""

    def __init__(self, folder: PredictionFolder, progress: Callable[[int, int], None] | None, images: int):
        self._folder, self._progress, self._images = folder, progress, images
        self.counts: Counter[str] = Counter(row["predicted"] for row in folder.kept)
        self.unusual = sum(bool(row.get(UNUSUAL)) for row in folder.kept)
        self.failed: dict[str, str] = {}

    def add(self, batch: _Batch) -> None:
        """Wait for the files of a batch and append its rows to the tables."""
        dicom = batch.wait()
        self._folder.append(batch.rows, batch.errors, dicom)
        self.counts.update(str(row["predicted"]) for row in batch.rows)
        self.unusual += sum(bool(row.get(UNUSUAL)) for row in batch.rows)
        self.failed.update((str(row["image"]), str(row["error"])) for row in batch.errors)
        if self._progress is not None:
            self._progress(self.counts.total() + len(self.failed), self._images)


def _columns(predictor: Predictor, overlays: bool) -> tuple[str, ...]:
    probabilities = [PROBABILITY + name for name in predictor.class_names]
    unusual = [] if predictor.validation_marks is None else [UNUSUAL]
    return ("image", "predicted", *probabilities, *unusual, *(["overlay"] if overlays else []))


def _row(path: Path, result: PredictionResult) -> dict[str, object]:
    probabilities = {PROBABILITY + name: value for name, value in result.probabilities.items()}
    row = {"image": str(path), "predicted": result.predicted, **probabilities}
    return row if result.unusual is None else {**row, UNUSUAL: _in_words(result.unusual)}


def _in_words(unusual: Mapping[str, str]) -> str:
    return "; ".join(f"{mark}: {reason}" for mark, reason in unusual.items())


def _draw(result: PredictionResult, path: Path) -> None:
    save_png(path, result.overlay())


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
