"""Calibrate a network on its validation cases: fit temperatures and choose thresholds."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from ggcam.data.schema import Labels
from ggcam.metrics.operating_points import AIMS, choose_threshold
from ggcam.metrics.probabilities import scaled_probabilities
from ggcam.metrics.temperature import fit_label_temperatures, fit_temperature
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
