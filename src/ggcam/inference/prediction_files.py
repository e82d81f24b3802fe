"""Predict image files batch by batch, and write the overlays and other files of each prediction."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from ggcam.errors import ImageError
from ggcam.inference.engines import Precision
from ggcam.inference.predictor import Predictor
from ggcam.inference.result import PredictionResult
from ggcam.report.overlay import save_png
from ggcam.run_folder import PROBABILITY
from ggcam.utils.parallel import thread_count

UNUSUAL = "unusual"
"""Column of predictions.csv with the marks of an image and their reasons."""

PRECISION = "precision"
"""Column of predictions.csv with what the network was computed in, unless it is float32."""


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

    def set_precision(self, precision: Precision) -> None:
        """Note what the predictions are computed in, before the first of them.

        Args:
            precision: the precision.
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

    def count(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Count what was written; called with the rows of each finished batch, wherever :meth:`write` was called.

        Args:
            rows: rows of dicom.csv.
        """
        ...


@dataclass(frozen=True)
class BatchRows:
    """Rows of the tables for a batch, whose files have been written.

    Attributes:
        predictions: rows of predictions.csv.
        errors: rows of errors.csv.
        dicom: rows of dicom.csv.
    """

    predictions: Sequence[Mapping[str, object]]
    errors: Sequence[Mapping[str, object]]
    dicom: Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class FileOptions:
    """What is written for each prediction.

    Attributes:
        out: existing folder for the overlays.
        overlays: whether to draw overlays.
        writer: writes further files; None without any.
    """

    out: Path
    overlays: bool = True
    writer: ResultWriter | None = None


def predict_and_write(
    predictor: Predictor, images: Mapping[Path, str], batch_size: int, options: FileOptions
) -> Generator[BatchRows, None, None]:
    """Predict image files and write their overlays and other files.

    The files of a batch are written while the next one is computed.

    Args:
        predictor: predicts the images.
        images: image file -> name of its overlay.
        batch_size: number of images in one forward pass.
        options: what is written.

    Yields:
        The rows of each batch, in the order of the images.

    Raises:
        OSError: a file cannot be written.
    """
    with ThreadPoolExecutor(thread_count()) as pool:
        writing: _Batch | None = None
        for batch in predictor.predict_batches(list(images), batch_size):
            if writing is not None:
                yield writing.rows()
            writing = _Batch(batch, pool, images, options, predictor.precision)
        if writing is not None:
            yield writing.rows()


class _Batch:
    """The rows of a batch, and the overlays and other files of it that threads are writing."""

    def __init__(
        self,
        batch: Sequence[tuple[Path, PredictionResult | ImageError]],
        pool: ThreadPoolExecutor,
        names: Mapping[Path, str],
        options: FileOptions,
        precision: Precision,
    ):
        self._predictions: list[dict[str, object]] = []
        self._errors: list[dict[str, object]] = []
        self._drawing: list[Future[None]] = []
        self._writing: list[Future[Sequence[Mapping[str, str]]]] = []
        for path, result in batch:
            if isinstance(result, ImageError):
                self._errors.append({"image": str(path), "error": str(result)})
                continue
            self._predictions.append(_row(path, result))
            if precision != "32":
                self._predictions[-1][PRECISION] = precision
            if options.overlays:
                self._predictions[-1]["overlay"] = names[path]
                self._drawing.append(pool.submit(_draw, result, options.out / names[path]))
            if options.writer is not None:
                self._writing.append(pool.submit(options.writer.write, path, result))

    def rows(self) -> BatchRows:
        """Wait for the files, raise the error of one that could not be written, and return the rows."""
        for drawn in self._drawing:
            drawn.result()
        dicom = [row for written in self._writing for row in written.result()]
        return BatchRows(self._predictions, self._errors, dicom)


def _row(path: Path, result: PredictionResult) -> dict[str, object]:
    probabilities = {PROBABILITY + name: value for name, value in result.probabilities.items()}
    row = {"image": str(path), "predicted": result.predicted, **probabilities}
    return row if result.unusual is None else {**row, UNUSUAL: _in_words(result.unusual)}


def _in_words(unusual: Mapping[str, str]) -> str:
    return "; ".join(f"{mark}: {reason}" for mark, reason in unusual.items())


def _draw(result: PredictionResult, path: Path) -> None:
    save_png(path, result.overlay())
