"""Calibration of a trained network on the validation cases: temperatures and thresholds, kept with the run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ggcam.data.data_module import SeededBatches
from ggcam.data.dataset import PreparedDataset
from ggcam.data.schema import Labels
from ggcam.errors import RunFolderError
from ggcam.metrics.operating_points import AIMS, choose_threshold
from ggcam.metrics.temperature import fit_label_temperatures, fit_temperature, scaled_probabilities
from ggcam.models.cam import CAMClassifier
from ggcam.utils.atomic import atomic_write
from ggcam.utils.documents import read_json
from ggcam.utils.structure import structure

Logits = Callable[[Shaped[Tensor, "b i H W"]], Float[Tensor, "b k"]]


@dataclass(frozen=True)
class Calibration:
    """How the logits of a network become probabilities, and probabilities decisions.

    Attributes:
        temperature: what the logits of each class are divided by (Guo et al., 2017); the same for all classes unless a
            case may have several labels.
        thresholds: aim -> class -> probability from which an image counts as positive; None for a class without
            positive or without negative validation cases.
        cases: number of validation cases that both were chosen on; 0 for a network that was not calibrated.
    """

    temperature: tuple[float, ...]
    thresholds: Mapping[str, Mapping[str, float | None]]
    cases: int

    @classmethod
    def none(cls, num_classes: int) -> Calibration:
        """Return the calibration of a network that was not calibrated: temperature 1, no thresholds."""
        return cls((1.0,) * num_classes, {}, 0)


def calibrate(logits: Float[np.ndarray, "n k"], labels: Labels, class_names: tuple[str, ...]) -> Calibration:
    """Fit temperatures and choose thresholds.

    Args:
        logits: shape (n, k), of the validation cases.
        labels: shape (n,), class index of each case; or (n, k), 1, 0 or NaN (unknown).
        class_names: k names.

    Returns:
        The calibration. Thresholds are of calibrated probabilities, one class against the rest.

    Raises:
        ValueError: there are no cases, or a logit is not finite.
    """
    multi_label = labels.ndim == 2
    if multi_label:
        temperature, truth = fit_label_temperatures(logits, labels), labels
    else:
        temperature = np.full(len(class_names), fit_temperature(logits, labels))
        truth = np.eye(len(class_names))[labels]
    probabilities = scaled_probabilities(logits.astype(np.float64), temperature, multi_label)
    thresholds: dict[str, dict[str, float | None]] = {aim: {} for aim in AIMS}
    for aim in AIMS:
        for k, name in enumerate(class_names):
            known = np.isfinite(truth[:, k])
            chosen = choose_threshold(probabilities[known, k], truth[known, k] == 1, aim)
            thresholds[aim][name] = None if np.isnan(chosen) else chosen
    return Calibration(tuple(temperature.tolist()), thresholds, len(labels))


def calibrate_network(
    model: CAMClassifier, dataset: PreparedDataset, labels: Labels, class_names: tuple[str, ...], batch_size: int
) -> Calibration:
    """Calibrate a network on a data set, in float32 on the network's device.

    Args:
        model: the network; its mode stays as it is.
        dataset: the validation cases.
        labels: their labels.
        class_names: names of the network's outputs.
        batch_size: number of images in one forward pass.

    Returns:
        The calibration.
    """
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    try:
        with torch.inference_mode():
            images = (dataset.batch(rows).image.to(device) for rows in SeededBatches(len(dataset), batch_size, None))
            logits = [model(each.contiguous(memory_format=torch.channels_last)).logits.cpu() for each in images]
    finally:
        model.train(was_training)
    return calibrate(torch.cat(logits).double().numpy(), labels, class_names)


def save_calibration(calibration: Calibration, path: Path) -> None:
    """Write a calibration as JSON.

    Args:
        calibration: the calibration.
        path: file to write.
    """
    atomic_write(path, json.dumps(asdict(calibration), indent=2) + "\n")


def load_calibration(path: Path, num_classes: int) -> Calibration:
    """Read a calibration.

    Args:
        path: file that :func:`save_calibration` wrote.
        num_classes: number of outputs of the network.

    Returns:
        The calibration; that of a network which was not calibrated if the file does not exist.

    Raises:
        RunFolderError: the file is damaged, or of a network with another number of outputs.
    """
    if not path.is_file():
        return Calibration.none(num_classes)
    found = structure(read_json(path, RunFolderError), Calibration, where=path, error=RunFolderError)
    if len(found.temperature) != num_classes or not all(each > 0 for each in found.temperature):
        raise RunFolderError(
            "the calibration does not fit the network",
            where=path,
            expected=f"{num_classes} temperatures above 0",
            got=list(found.temperature),
        )
    return found
