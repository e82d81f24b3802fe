"""Predict image files into a folder: predictions.csv, an overlay per image, and errors.csv for unreadable files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ggcam.data.find_images import OVERLAY_SUFFIX, find_images, image_stem
from ggcam.errors import ConfigError, MissingFileError
from ggcam.inference.engines import EngineName, Precision
from ggcam.inference.on_ray import predict_on_ray
from ggcam.inference.precision import PrecisionName
from ggcam.inference.prediction_files import PRECISION, UNUSUAL, BatchRows, FileOptions, ResultWriter, predict_and_write
from ggcam.inference.prediction_folder import PREDICTIONS, Call, PredictionFolder, network_digest, unfinished_call
from ggcam.inference.predictor import Predictor, load_predictor
from ggcam.run_folder import PROBABILITY
from ggcam.training.typicality import ValidationMarks
from ggcam.utils.locks import locked_folder

if TYPE_CHECKING:
    import pandas as pd


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
        precision: what the network was computed in.
    """

    path: Path
    counts: Mapping[str, int]
    unusual: int | None
    failed: Mapping[str, str]
    engine: str
    validation_marks: ValidationMarks | None = None
    resumed: int = 0
    precision: Precision = "32"

    @cached_property
    def table(self) -> pd.DataFrame:
        """Content of predictions.csv: one row per readable image.

        Columns: image, predicted, probability_<class>, unusual (why the image is unlike the training images, or empty;
        see :mod:`ggcam.training.typicality`; not for a run that does not know its training images), precision (unless
        it is float32) and, if they were drawn, overlay.
        """
        import pandas as pd  # here: it takes longer to import than an image to predict

        if not self.path.is_file():
            return pd.DataFrame()
        texts: dict[Hashable, type[str]] = dict.fromkeys(("image", "predicted", UNUSUAL, PRECISION, "overlay"), str)
        return pd.read_csv(self.path, dtype=texts, keep_default_na=False, float_precision="round_trip")


def predict(
    root: Path,
    images: Sequence[Path],
    out: Path,
    *,
    overlays: bool = True,
    batch_size: int = 8,
    device: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    engine: EngineName = "auto",
    writer: ResultWriter | None = None,
    overwrite: bool = False,
    ray: str | None = None,
    precision: PrecisionName | None = None,
    reduced_resolution: bool = False,
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
        ray: address of a Ray cluster to predict on, "auto" for the cluster that this machine belongs to, or "local" to
            start one on this machine. Default: this process, without Ray.
        precision: what the network is computed in; see :func:`ggcam.load_predictor`.
        reduced_resolution: whether large JPEG and JPEG 2000 images are decoded at a lower resolution; see
            :func:`ggcam.load_predictor`.

    Returns:
        The table, the failed images, the engine and the precision.

    Raises:
        ConfigError: there are no images, the batch size is below 1, the device or engine does not exist, the engine
            does not compute in the precision, `out` is a file, or it has the unfinished results of another call; or the
            cluster cannot be reached, or a machine of it has another version of ggcam or does not see the files.
        RunFolderError: the run is unfinished or damaged.
        PreparedFolderError: the images of the run, on which int8 is calibrated, do not exist.
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
    if unfinished is not None and precision == "auto":
        precision = unfinished.precision
    predictor = load_predictor(
        root,
        device,
        engine,
        expected_images=len(names),
        precision=precision,
        reduced_resolution=reduced_resolution,
    )
    if writer is not None:
        writer.set_precision(predictor.precision)
    call = Call(
        network_digest(root),
        predictor.engine,
        _columns(predictor, overlays),
        "" if writer is None else writer.fingerprint,
        predictor.precision,
        reduced_resolution,
    )
    out.mkdir(parents=True, exist_ok=True)
    further = None if writer is None or writer.folder.resolve() == out.resolve() else writer.folder
    with locked_folder(out), nullcontext() if further is None else locked_folder(further):
        folder = PredictionFolder(out, call, names, None if overwrite else unfinished_call(out))
        tally = _Tally(folder, writer, progress, len(names))
        options = FileOptions(out, overlays, writer)
        missing = {path: names[path] for path in folder.missing}
        if ray is None:
            batches = predict_and_write(predictor, missing, batch_size, options)
        else:
            how = predictor.engine, predictor.precision, reduced_resolution
            batches = predict_on_ray(ray, root, missing, batch_size, device, *how, options)
        with closing(batches):
            for rows in batches:
                tally.add(rows)
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
        predictor.precision,
    )


class _Tally:
    """Adds finished batches to the tables and counts what is in them."""

    def __init__(
        self,
        folder: PredictionFolder,
        writer: ResultWriter | None,
        progress: Callable[[int, int], None] | None,
        images: int,
    ):
        self._folder, self._writer, self._progress, self._images = folder, writer, progress, images
        self.counts: Counter[str] = Counter(row["predicted"] for row in folder.kept)
        self.unusual = sum(bool(row.get(UNUSUAL)) for row in folder.kept)
        self.failed: dict[str, str] = {}

    def add(self, batch: BatchRows) -> None:
        """Append the rows of a batch to the tables."""
        self._folder.append(batch.predictions, batch.errors, batch.dicom)
        self.counts.update(str(row["predicted"]) for row in batch.predictions)
        self.unusual += sum(bool(row.get(UNUSUAL)) for row in batch.predictions)
        self.failed.update((str(row["image"]), str(row["error"])) for row in batch.errors)
        if self._writer is not None:
            self._writer.count(batch.dicom)
        if self._progress is not None:
            self._progress(self.counts.total() + len(self.failed), self._images)


def _columns(predictor: Predictor, overlays: bool) -> tuple[str, ...]:
    probabilities = [PROBABILITY + name for name in predictor.class_names]
    unusual = [] if predictor.validation_marks is None else [UNUSUAL]
    precision = [] if predictor.precision == "32" else [PRECISION]
    return ("image", "predicted", *probabilities, *unusual, *precision, *(["overlay"] if overlays else []))


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
    numbers: Counter[str] = Counter()  # the last one of each stem: a data set may have one name in each of its folders
    for path in paths:
        stem = image_stem(path.name)
        name = f"{stem}{OVERLAY_SUFFIX}"
        while name.lower() in taken:  # some file systems do not distinguish upper and lower case
            numbers[stem.lower()] += 1
            name = f"{stem}_{numbers[stem.lower()] + 1}{OVERLAY_SUFFIX}"
        taken.add(name.lower())
        names[path] = name
    return names
