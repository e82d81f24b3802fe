"""The engine that runs a classifier with torch, on any device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped

from ggcam.inference.engines import EngineOutput
from ggcam.models.cam import CAMClassifier
from ggcam.models.feature_distance import FeatureDistance


class TorchEngine:
    """Runs a classifier with torch, in evaluation mode and without gradients.

    Args:
        model: trained classifier; it is moved to the device, in the channels-last memory format.
        device: where to run.
        distance: measures the distance of features; None to leave it out.
    """

    def __init__(self, model: CAMClassifier, device: torch.device, distance: FeatureDistance | None = None):
        self.device = device
        self.distance = None if distance is None else distance.to(device)
        self.model = model.eval().to(device).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, image: Shaped[np.ndarray, "b i H W"]) -> EngineOutput:
        """Compute logits and CAMs; see :meth:`Engine.__call__`."""
        pixels = torch.from_numpy(image)
        if self.device.type == "cuda":
            pixels = pixels.pin_memory()  # pageable memory would make the copy wait for the GPU's earlier work
        on_device = pixels.to(self.device, non_blocking=True).contiguous(memory_format=torch.channels_last)
        with full_float32():
            output = self.model(on_device)
            distance = None if self.distance is None else self.distance(output.features).cpu().numpy()
        return EngineOutput(output.logits.float().cpu().numpy(), output.cam.float().cpu().numpy(), distance)


@contextmanager
def full_float32() -> Iterator[None]:
    """Compute float32 convolutions in float32 inside the block.

    By default torch computes them in TensorFloat-32 on a GPU, which keeps 10 bits of each factor: the outputs then
    differ from those of a CPU by about 1e-3 of their size.
    """
    cudnn: Any = torch.backends.cudnn
    convolutions = cudnn.conv
    before = convolutions.fp32_precision
    convolutions.fp32_precision = "ieee"
    try:
        yield
    finally:
        convolutions.fp32_precision = before
