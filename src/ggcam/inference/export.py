"""A trained run -> a file for another program."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Shaped

from ggcam.data.case import Split
from ggcam.data.dataset import PreparedDataset, SeededBatches
from ggcam.data.images import to_uint8
from ggcam.data.prepared import Labels, PreparedData
from ggcam.data.views import apply_view
from ggcam.errors import ConfigError
from ggcam.inference.backends import OnnxRuntimeEngine
from ggcam.inference.int8 import quantise
from ggcam.inference.predictor import onnx_of
from ggcam.inference.probabilities import Predictor
from ggcam.metrics.classification import macro_auroc
from ggcam.metrics.multilabel import macro_auroc_multilabel
from ggcam.models import original
from ggcam.run_folder import RunFolder, data_of, open_run_folder
from ggcam.training.config import config_from_dict
from ggcam.training.model_spec import ModelSpec, load_model
from ggcam.utils.atomic import atomic_path, atomic_write

Metrics = Mapping[str, float]
"""What was measured at an export, by its name: nothing, but for int8."""

CALIBRATION_CASES = 128
"""Validation cases, at most, from which the ranges of int8 are learned."""

_BATCH = 8


def export_original(root: Path, out: Path) -> Metrics:
    """Write a run's network as a `NET.pt` that the original GG-CAM and :func:`ggcam.models.original.load` can load.

    The scalars of the loss, which play no part in predictions, go along where the run's guidance has them.

    Args:
        root: the run folder.
        out: the file to write.

    Raises:
        RunFolderError: it is no run folder, or training has not finished.
        ConfigError: the run's network is none of the original's.
    """
    run = open_run_folder(root)
    model = load_model(run)
    if not original.is_original(model):
        raise ConfigError(
            f"the original GG-CAM has no network to load this run's {ModelSpec.from_run(run).type} into",
            where=run.root,
            hint=f"train one of its own networks: --backbone {' or '.join(original.NETWORKS)}",
        )
    scalars = original.scalars_of(original.read_state(run.weights))
    with atomic_path(out) as aside:
        torch.save(original.state_of(model, scalars), aside)
    return {}


def export_onnx(root: Path, out: Path) -> Metrics:
    """Write a run's network as ONNX: bytes of an image in, logits and CAM out; see :mod:`ggcam.inference.onnx`.

    Args:
        root: the run folder.
        out: the file to write.

    Raises:
        RunFolderError: it is no run folder, or training has not finished.
        ConfigError: a package is missing, or the file would not answer as the network does.
    """
    atomic_write(out, onnx_of(open_run_folder(root)))
    return {}


def export_int8(root: Path, out: Path) -> Metrics:
    """Write a run's network as ONNX that computes in 8-bit integers, calibrated on the run's validation cases.

    Args:
        root: the run folder.
        out: the file to write.

    Returns:
        On the test cases (without any, on the validation cases): "macro AUROC in float32", "macro AUROC in int8" and
        "loss of macro AUROC", each NaN where it is undefined; "largest change of a probability"; and "cases".

    Raises:
        RunFolderError: it is no run folder, or training has not finished.
        PreparedFolderError: the data of the run are gone.
        ConfigError: as for :func:`export_onnx`.
    """
    run = open_run_folder(root)
    data = _data(run)
    in_float = onnx_of(run)
    calibration = (batch for batch, _ in _batches(data, "valid", CALIBRATION_CASES))
    in_int8 = quantise(in_float, calibration)
    split: Split = "test" if "test" in set(data.cases["split"]) else "valid"
    metrics = _compared(data, split, in_float, in_int8)
    atomic_write(out, in_int8)
    return metrics


def _data(run: RunFolder) -> PreparedData:
    """The cases as the run dealt them out."""
    data = data_of(run)
    ModelSpec.from_run(run).check_match(data)
    return apply_view(data, replace(config_from_dict(run.settings["train"]).view, control="none"))


def _batches(
    data: PreparedData, split: Split, most: int | None = None
) -> Iterator[tuple[Shaped[np.ndarray, "b 1 H W"], Labels]]:
    """Images in bytes with their labels, in order; `most` of them, spread over the split."""
    dataset = PreparedDataset(data, split, cache="none")
    labels = data.labels_of(dataset.cases)
    rows = np.arange(len(dataset))
    if most is not None and len(rows) > most:
        rows = rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]
    for places in SeededBatches(len(rows), _BATCH, seed=None):
        taken = rows[places]
        images = dataset[taken.tolist()].image.numpy()[:, 0]
        yield np.stack([to_uint8(image) for image in images])[:, None], labels[taken]


def _compared(data: PreparedData, split: Split, in_float: bytes, in_int8: bytes) -> Metrics:
    """What the integers cost."""
    predictors = [Predictor(OnnxRuntimeEngine(content), data.multi_label) for content in (in_float, in_int8)]
    found: list[list[Float[np.ndarray, "b k"]]] = [[], []]
    truth: list[Labels] = []
    for image, labels in _batches(data, split):
        truth.append(labels)
        for predictor, probabilities in zip(predictors, found, strict=True):
            probabilities.append(predictor(torch.from_numpy(image)).probabilities)
    before, after = (np.concatenate(each) for each in found)
    area = macro_auroc_multilabel if data.multi_label else macro_auroc
    areas = [area(each, np.concatenate(truth)) for each in (before, after)]
    return {
        "macro AUROC in float32": areas[0],
        "macro AUROC in int8": areas[1],
        "loss of macro AUROC": areas[0] - areas[1],
        "largest change of a probability": float(np.abs(after - before).max()),
        "cases": len(before),
    }


EXPORTERS: Mapping[str, Callable[[Path, Path], Metrics]] = {
    "onnx": export_onnx,
    "onnx-int8": export_int8,
    "original": export_original,
}
"""Format on the command line -> what writes it, given a run folder and the file to write."""
