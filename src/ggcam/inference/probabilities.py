"""Run a trained model over images: the best device there is, no gradients, logits and CAM from one pass."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ggcam.errors import ConfigError
from ggcam.inference.backends import Engine


class Prediction(NamedTuple):
    """What the model says of a batch.

    Attributes:
        logits: (b, k).
        probabilities: (b, k), the softmax of the logits, each row of which sums to 1; or, where an image may have
            several labels, their sigmoid.
        cam: (b, k, h, w).
    """

    logits: Float[np.ndarray, "b k"]
    probabilities: Float[np.ndarray, "b k"]
    cam: Float[np.ndarray, "b k h w"]


class Predictor:
    """What an engine computes, with probabilities.

    Args:
        engine: images -> logits and CAM, in float32 so that an answer does not depend on the hardware.
        multi_label: an image may belong to several classes, or to none.
    """

    def __init__(self, engine: Engine, multi_label: bool = False):
        self.engine = engine
        self.multi_label = multi_label

    def __call__(self, image: Shaped[Tensor, "b i H W"]) -> Prediction:
        """Images (b, channels, H, W), integers or floats in 0..1 -> float32 arrays."""
        output = self.engine(image)
        logits = torch.from_numpy(output.logits)
        probabilities = logits.sigmoid() if self.multi_label else logits.softmax(dim=1)
        return Prediction(output.logits, probabilities.numpy(), output.cam)


def find_device(name: str | None = None) -> torch.device:
    """The device of this name; by default a GPU where there is one.

    Raises:
        ConfigError: this machine has no such device.
    """
    try:
        device = torch.device(name or best_device())
        torch.ones(1, device=device).item()  # torch believes in a device until something shall happen there
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"this machine has no device {name!r}",
            where="--device",
            expected=f"{best_device()}, say",
            got=str(error)[:200],
        ) from error
    return device


def best_device() -> str:
    """A CUDA device, Apple's, or the CPU."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
