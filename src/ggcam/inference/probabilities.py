"""Class probabilities of image batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from ggcam.inference.engines import Engine
from ggcam.metrics.probabilities import scaled_probabilities


class Prediction(NamedTuple):
    """Predictions for a batch of b images and k classes, in float32.

    Attributes:
        logits: shape (b, k).
        probabilities: shape (b, k): calibrated; softmax of logits / temperature (rows sum to 1), or their sigmoid if
            multi-label.
        cam: shape (b, k, h, w).
        distance: shape (b,), distance of the features from those of the training images; None if not measured.
    """

    logits: Float[np.ndarray, "b k"]
    probabilities: Float[np.ndarray, "b k"]
    cam: Float[np.ndarray, "b k h w"]
    distance: Float[np.ndarray, " b"] | None = None


class BatchPredictor:
    """Turns the logits of an engine into probabilities.

    Args:
        engine: computes logits and CAMs.
        multi_label: whether a case may have several labels, or none.
        temperature: what the logits of each class are divided by; see :mod:`ggcam.training.calibration`.
    """

    def __init__(self, engine: Engine, multi_label: bool = False, temperature: Sequence[float] | float = 1.0):
        self.engine = engine
        self.multi_label = multi_label
        self.temperature = temperature if isinstance(temperature, float) else np.array(temperature)

    def __call__(self, image: Shaped[np.ndarray, "b i H W"]) -> Prediction:
        """Predict a batch.

        Args:
            image: shape (b, channels, H, W), integers over the full range of their type, or floats in 0..1.

        Returns:
            Logits, probabilities and CAMs.
        """
        output = self.engine(image)
        probabilities = scaled_probabilities(output.logits, self.temperature, self.multi_label)
        return Prediction(output.logits, probabilities, output.cam, output.distance)
