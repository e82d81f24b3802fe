"""Verify an exported file: do the engines that run it give the numbers of the run's torch network?

Images that the user names are compared from their files on: they are framed as the run does and as the metadata of the
exported file say.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Bool, Float

from ggcam.errors import ConfigError, ImageError, MissingFileError, WeightsError
from ggcam.inference.bundle import is_bundle, open_bundle
from ggcam.inference.compared_images import ImageFiles, PreparedImages
from ggcam.inference.engines import ONNX_ENGINES, PRECISION_NAMES, EngineName, installed_engines
from ggcam.inference.network import Network, open_network
from ggcam.inference.onnx import check_packages
from ggcam.inference.probabilities import Prediction
from ggcam.inference.verification import (
    FLOAT32,
    INT8,
    QUANTITIES,
    Difference,
    EngineComparison,
    Tolerance,
    Verification,
)
from ggcam.training.run import Run, open_run


def verify(
    run: str | os.PathLike[str],
    file: str | os.PathLike[str],
    images: str | os.PathLike[str] | None = None,
    *,
    tolerance: float | None = None,
    max_changed: float | None = None,
    engines: Sequence[str] | None = None,
    max_images: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """Compare an exported file with the run that it was exported from, image by image.

    Logits, probabilities, CAMs, the distance of the features and the decisions of each engine are compared with those
    of the run's network in torch on the CPU. A decision is the predicted class; with several labels per case, for each
    label whether its probability reaches the run's Youden threshold.

    Example:
        >>> import ggcam
        >>> result = ggcam.verify("run/mine", "NET.onnx", "raw/files")  # doctest: +SKIP
        >>> result.passed, result.engines["onnxruntime"].changed  # doctest: +SKIP
        (True, 0)

    Args:
        run: run folder.
        file: ONNX file of the run, or a bundle, whose ONNX file is compared.
        images: image file, or folder with images. None for the run's own test images, as prepared; for the validation
            images if there are no test images.
        tolerance: largest difference allowed: of every quantity in a float32 file, of probabilities in an int8 file.
            None for :data:`FLOAT32` or :data:`INT8`.
        max_changed: largest share of decisions that may change. None for any in a float32 file, 0.05 in an int8 file.
        engines: names of the engines; None for those that are installed.
        max_images: compare at most this many images, evenly spaced; None for all.
        progress: called with the number of compared images and the number of all images.

    Returns:
        The differences, and whether they are within the tolerance.

    Raises:
        ConfigError: an engine does not exist or is not installed, or a number is out of its range.
        RunFolderError: the run is unfinished or damaged.
        WeightsError: the file is not an ONNX file written by ggcam, or belongs to a network with other classes or
            another frame.
        BundleError: the bundle is incomplete, has changed, or is of another version.
        MissingFileError: a file does not exist, a folder contains no images, or the run's own images do not exist.
        ImageError: no image can be read.
    """
    _check_numbers(tolerance, max_changed, max_images)
    engine_names = _engine_names(engines)
    file = Path(file)
    if is_bundle(file):
        file = open_bundle(file).onnx
    if not file.is_file():
        raise MissingFileError("the exported file does not exist", where=file)
    opened = open_run(Path(run))
    exported = {name: open_network(file, name, "cpu") for name in engine_names}
    reference = open_network(opened.folder.root, "torch", "cpu")
    first = next(iter(exported.values()))
    _check_same_task(reference, first, file)
    compared = (
        PreparedImages(opened, max_images)
        if images is None
        else ImageFiles(Path(images), (reference.framing, first.framing), max_images)
    )
    tallies = {name: _Tally(_thresholds(opened)) for name in exported}
    done = 0
    for batch in compared:
        expected = reference.predict_batch(batch.as_run)
        for name, network in exported.items():
            tallies[name].add(batch.names, expected, network.predict_batch(batch.as_file))
        done += len(batch.names)
        if progress is not None:
            progress(done + len(compared.unreadable), compared.number)
    if not done:
        raise ImageError("no image can be read", got=next(iter(compared.unreadable.values())))
    computes_in = PRECISION_NAMES[first.precision]
    return Verification(
        str(run),
        str(file),
        computes_in,
        done,
        compared.unreadable,
        _mismatches(reference, first),
        {name: tally.result() for name, tally in tallies.items()},
        _tolerance(INT8 if computes_in == "int8" else FLOAT32, tolerance, max_changed),
    )


class _Tally:
    """Collects the differences of one engine over the batches.

    Args:
        thresholds: probability from which each label counts as present; None if each case has one class.
    """

    def __init__(self, thresholds: Float[np.ndarray, " k"] | None) -> None:
        self._thresholds = thresholds
        self._images: list[str] = []
        self._differences: dict[str, list[float]] = {}
        self._decisions = self._changed = 0

    def add(self, images: Sequence[str], expected: Prediction, found: Prediction) -> None:
        """Add a batch of n images."""
        self._images += images
        for quantity in QUANTITIES:
            ours, theirs = getattr(expected, quantity), getattr(found, quantity)
            if ours is not None and theirs is not None:
                values = _differences(ours, theirs, relative=quantity != "probabilities")
                self._differences.setdefault(quantity, []).extend(values.tolist())
        decided, decided_otherwise = (_decisions(each.probabilities, self._thresholds) for each in (expected, found))
        changed = decided != decided_otherwise
        if self._thresholds is None:
            changed = changed.any(axis=1, keepdims=True)
        self._decisions += changed.size
        self._changed += int(changed.sum())

    def result(self) -> EngineComparison:
        """Summarise the differences of all images."""
        differences: dict[str, Difference] = {}
        for quantity, values in self._differences.items():
            worst = int(np.argmax(values))  # NaN counts as the largest
            differences[quantity] = Difference(values[worst], float(np.median(values)), self._images[worst])
        return EngineComparison(differences, self._decisions, self._changed)


def _differences(
    expected: Float[np.ndarray, "n ..."], found: Float[np.ndarray, "n ..."], relative: bool
) -> Float[np.ndarray, " n"]:
    """Return the largest difference of each image; infinity if the arrays have other shapes, as CAMs of other grids."""
    if expected.shape != found.shape:
        return np.full(len(expected), np.inf)
    ours, theirs = (each.reshape(len(each), -1).astype(np.float64) for each in (expected, found))
    largest = np.abs(ours - theirs).max(axis=1)
    return largest / np.maximum(np.abs(ours).max(axis=1), 1) if relative else largest


def _decisions(
    probabilities: Float[np.ndarray, "n k"], thresholds: Float[np.ndarray, " k"] | None
) -> Bool[np.ndarray, "n k"]:
    """Mark the predicted class; with thresholds, all labels that reach theirs."""
    if thresholds is None:
        return np.arange(probabilities.shape[1]) == probabilities.argmax(axis=1)[:, None]
    return probabilities >= thresholds


def _thresholds(run: Run) -> Float[np.ndarray, " k"] | None:
    """Return the threshold of each label, 0.5 for a label without one; None if each case has one class."""
    if not run.spec.multi_label:
        return None
    chosen = run.calibration.decision_thresholds
    return np.array([chosen.get(name, 0.5) for name in run.class_names], np.float64)


def _engine_names(wanted: Sequence[str] | None) -> list[EngineName]:
    if wanted is None:
        names = installed_engines()
        if not names:
            check_packages(*ONNX_ENGINES, where="ggcam verify")
        return names
    unknown = [name for name in wanted if name not in ONNX_ENGINES]
    if unknown or not wanted:
        got = ", ".join(unknown) or "none"
        raise ConfigError("unknown engine", where="--engines", expected=" or ".join(ONNX_ENGINES), got=got)
    return cast("list[EngineName]", list(dict.fromkeys(wanted)))


def _check_numbers(tolerance: float | None, max_changed: float | None, max_images: int | None) -> None:
    if tolerance is not None and not tolerance >= 0:
        raise ConfigError("the tolerance must be at least 0", where="--tolerance", got=tolerance)
    if max_changed is not None and not 0 <= max_changed <= 1:
        raise ConfigError("the share of decisions must be from 0 to 1", where="--max-changed", got=max_changed)
    if max_images is not None and max_images < 1:
        raise ConfigError("at least one image is needed", where="--max-images", got=max_images)


def _tolerance(default: Tolerance, largest: float | None, changed: float | None) -> Tolerance:
    return Tolerance(
        default.largest if largest is None else dict.fromkeys(default.largest, largest),
        default.changed if changed is None else changed,
    )


def _check_same_task(run: Network, exported: Network, file: Path) -> None:
    """Refuse a file whose outputs cannot be compared with those of the run."""
    for what, ours, theirs in (
        ("other classes", ", ".join(run.class_names), ", ".join(exported.class_names)),
        ("another frame", run.framing.frame, exported.framing.frame),
        ("another number of channels", run.framing.channels, exported.framing.channels),
    ):
        if ours != theirs:
            raise WeightsError(
                f"the file belongs to another run: it has {what}",
                where=file,
                expected=ours,
                got=theirs,
                hint="export the run again: ggcam export RUN --format onnx",
            )


def _mismatches(run: Network, exported: Network) -> list[str]:
    """Describe what metadata of the file, which prediction goes by, differ from the run."""
    found = {
        "multi-label": (run.predict_batch.multi_label, exported.predict_batch.multi_label),
        "framing": (run.framing.name, exported.framing.name),
        "used bits": (run.framing.used_bits, exported.framing.used_bits),
        "temperature": (_numbers(run), _numbers(exported)),
    }
    problems = [f"{what} is {theirs} instead of {ours}" for what, (ours, theirs) in found.items() if ours != theirs]
    if run.typicality != exported.typicality:
        problems.append("the description of the training images, by which unusual images are marked")
    return problems


def _numbers(network: Network) -> list[float]:
    temperature = np.broadcast_to(network.predict_batch.temperature, len(network.class_names))
    return [float(each) for each in temperature]
