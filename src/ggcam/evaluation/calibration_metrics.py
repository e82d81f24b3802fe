"""What calibration changes, and how the thresholds chosen on the validation cases do on other cases."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from ggcam.data.schema import Labels
from ggcam.evaluation.run_metrics import classification_metrics, with_intervals
from ggcam.metrics.bootstrap_statistics import weighted_mean
from ggcam.metrics.operating_points import operating_point
from ggcam.metrics.probabilities import scaled_probabilities
from ggcam.metrics.temperature import nll_per_case
from ggcam.training.calibration import Calibration

BEFORE_AND_AFTER = ("ece", "brier", "nll")
"""Metrics of the probabilities that are written with calibration and without it."""


def calibration_metrics(
    logits: Float[np.ndarray, "n k"],
    labels: Labels,
    patients: Shaped[np.ndarray, " n"],
    class_names: tuple[str, ...],
    calibration: Calibration,
) -> dict[str, Any]:
    """Compute the metrics of the calibration, with confidence intervals over patients.

    Args:
        logits: shape (n, k).
        labels: shape (n,), class index of each case; or (n, k), 1, 0 or NaN (unknown).
        patients: shape (n,), patient of each case.
        class_names: k names.
        calibration: calibration of the run.

    Returns:
        "nll", the mean negative log-likelihood (left out with several labels per case); "uncalibrated", the metrics
        `BEFORE_AND_AFTER` with temperature 1; "temperature" of each class; and "operating_points": aim -> class ->
        threshold, sensitivity and specificity of the calibrated probabilities.
    """
    multi_label = labels.ndim == 2
    logits = logits.astype(np.float64)
    before = scaled_probabilities(logits, 1.0, multi_label)
    after = scaled_probabilities(logits, np.array(calibration.temperature), multi_label)
    tree: dict[str, Any] = {"uncalibrated": classification_metrics(before, labels, class_names)}
    if not multi_label:
        tree["nll"] = weighted_mean(nll_per_case(after, labels))
        tree["uncalibrated"]["nll"] = weighted_mean(nll_per_case(before, labels))
    tree["uncalibrated"] = {key: tree["uncalibrated"][key] for key in BEFORE_AND_AFTER if key in tree["uncalibrated"]}
    truth = labels if multi_label else np.eye(len(class_names))[labels]
    tree["operating_points"] = {
        aim: {
            name: operating_point(after[:, k], truth[:, k], threshold)
            for k, name in enumerate(class_names)
            if (threshold := thresholds.get(name)) is not None
        }
        for aim, thresholds in calibration.thresholds.items()
    }
    return {
        **with_intervals(tree, patients),
        "temperature": dict(zip(class_names, calibration.temperature, strict=True)),
    }
