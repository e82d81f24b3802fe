"""Calibrate a network on its validation cases: fit temperatures and choose thresholds."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float

from ggcam.data.dataset import PreparedDataset
from ggcam.data.schema import Labels
from ggcam.metrics.operating_points import AIMS, choose_threshold
from ggcam.metrics.temperature import fit_label_temperatures, fit_temperature, scaled_probabilities
from ggcam.models.cam import CAMClassifier
from ggcam.training.calibration import Calibration


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
            rows = torch.arange(len(dataset)).split(batch_size)
            images = (dataset.batch(each.tolist()).image.to(device) for each in rows)
            logits = [model(each.contiguous(memory_format=torch.channels_last)).logits.cpu() for each in images]
    finally:
        model.train(was_training)
    return calibrate(torch.cat(logits).double().numpy(), labels, class_names)
