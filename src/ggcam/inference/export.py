"""Export the network of a run to a file for other programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ggcam.data.case import Split
from ggcam.data.prepared import PreparedData
from ggcam.data.schema import Labels
from ggcam.errors import ConfigError
from ggcam.inference.engines import OnnxRuntimeEngine
from ggcam.inference.onnx import OnnxFile
from ggcam.inference.probabilities import BatchPredictor
from ggcam.inference.run_images import first_split, run_data, split_images
from ggcam.inference.run_int8 import calibrated_int8
from ggcam.inference.run_onnx import onnx_from_run
from ggcam.inference.write_bundle import write_bundle
from ggcam.metrics.classification import macro_auroc
from ggcam.metrics.multilabel import macro_auroc_multilabel
from ggcam.models import original, original_weights
from ggcam.models.weight_files import read_state_dict
from ggcam.training.run import open_run
from ggcam.utils.aliases import canonical_name
from ggcam.utils.atomic import atomic_write
from ggcam.utils.safe_pickle import pt_bytes

Metrics = Mapping[str, float]
"""What was measured during an export, by name; empty except for "onnx-int8"."""


def export_original(root: Path, out: Path) -> Metrics:
    """Write the network of a run as a `NET.pt` for the original GG-CAM, or :func:`ggcam.models.original_weights.load`.

    The scalars of the original's loss, which do not affect predictions, are copied if the run has them.

    Args:
        root: run folder.
        out: file to write.

    Returns:
        Nothing measured: an empty mapping.

    Raises:
        RunFolderError: the folder is not a run folder, or training has not finished.
        ConfigError: the original has no such network.
    """
    run = open_run(root)
    model = run.load_model()
    if not original.is_original(model):
        raise ConfigError(
            f"the original GG-CAM has no network to load this run's {run.spec.type} into",
            where=run.folder.root,
            hint=f"train one of the original's networks: --backbone {' or '.join(original.NETWORKS)}",
        )
    scalars = original_weights.scalars_in_state(read_state_dict(run.folder.weights))
    atomic_write(out, pt_bytes(original_weights.original_state_dict(model, scalars)))
    return {}


def export_onnx(root: Path, out: Path) -> Metrics:
    """Write the network of a run as ONNX: 8-bit images in, logits and CAMs out; see :mod:`ggcam.inference.onnx`.

    Args:
        root: run folder.
        out: file to write.

    Returns:
        Nothing measured: an empty mapping.

    Raises:
        RunFolderError: the folder is not a run folder, or training has not finished.
        ConfigError: a package is not installed, or the file would not compute the same as the network.
    """
    atomic_write(out, onnx_from_run(open_run(root)).content)
    return {}


def export_int8(root: Path, out: Path) -> Metrics:
    """Write the network of a run as ONNX that computes in 8-bit integers.

    It is calibrated on the run's validation cases, or on its training cases if there are none.

    Args:
        root: run folder.
        out: file to write.

    Returns:
        Metrics on the test cases, or on the validation cases if there are none: "macro AUROC in float32", "macro AUROC
        in int8", "loss of macro AUROC" (NaN where undefined), "largest change of a probability" and "cases".

    Raises:
        RunFolderError: the folder is not a run folder, or training has not finished.
        PreparedFolderError: the data of the run do not exist.
        ConfigError: see :func:`export_onnx`.
    """
    run = open_run(root)
    data = run_data(run)
    in_float = onnx_from_run(run)
    in_int8 = OnnxFile(calibrated_int8(in_float.content, data))
    measured = first_split(data, "test", "valid") or "test"
    metrics = _compare(data, measured, in_float, in_int8, run.calibration.temperature)
    atomic_write(out, in_int8.content)
    return metrics


def _compare(
    data: PreparedData, split: Split, in_float: OnnxFile, in_int8: OnnxFile, temperature: Sequence[float]
) -> Metrics:
    """Measure what quantisation changes."""
    predictors = [
        BatchPredictor(OnnxRuntimeEngine(file), data.multi_label, temperature) for file in (in_float, in_int8)
    ]
    predicted: list[list[Float[np.ndarray, "b k"]]] = [[], []]
    truth: list[Labels] = []
    for batch in split_images(data, split):
        truth.append(batch.labels)
        for predictor, probabilities in zip(predictors, predicted, strict=True):
            probabilities.append(predictor(batch.pixels).probabilities)
    before, after = (np.concatenate(each) for each in predicted)
    auroc = macro_auroc_multilabel if data.multi_label else macro_auroc
    auroc_before, auroc_after = (auroc(each, np.concatenate(truth)) for each in (before, after))
    return {
        "macro AUROC in float32": auroc_before,
        "macro AUROC in int8": auroc_after,
        "loss of macro AUROC": auroc_before - auroc_after,
        "largest change of a probability": float(np.abs(after - before).max()),
        "cases": len(before),
    }


def export_bundle(root: Path, out: Path) -> Metrics:
    """Write the network of a run as a bundle; see :mod:`ggcam.inference.bundle`.

    Args:
        root: run folder.
        out: folder to create.

    Returns:
        Nothing measured: an empty mapping.

    Raises:
        RunFolderError: the folder is not a run folder, or training has not finished.
        ConfigError: `out` exists, a package is not installed, or the network cannot be written as ONNX.
    """
    write_bundle(root, out)
    return {}


EXPORTERS: Mapping[str, Callable[[Path, Path], Metrics]] = {
    "onnx": export_onnx,
    "onnx-int8": export_int8,
    "bundle": export_bundle,
    "original": export_original,
}
"""Format on the command line -> function that writes it, given the run folder and the file."""


def export_run(root: Path, file_format: str, out: Path) -> Metrics:
    """Write the network of a run in one of the formats of :data:`EXPORTERS`.

    Args:
        root: the run folder.
        file_format: a key of :data:`EXPORTERS`; "released" is an alias of "original".
        out: the file to write; of a bundle, the folder.

    Returns:
        What was measured during the export, by name; empty except for "onnx-int8".

    Raises:
        ConfigError: the format is unknown, or cannot hold the run's network.
        RunFolderError: the folder is not a run folder, or training has not finished.
    """
    name = canonical_name(file_format)
    if name not in EXPORTERS:
        raise ConfigError("unknown file format", where="--format", expected=", ".join(EXPORTERS), got=file_format)
    return EXPORTERS[name](root, out)
