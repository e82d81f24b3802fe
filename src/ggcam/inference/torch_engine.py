"""The engine that runs a classifier with torch, on any device."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped

from ggcam.inference.engines import ChosenEngine, EngineOutput, Precision
from ggcam.inference.precision import PrecisionName, faster, timed_image
from ggcam.models.cam import CAMClassifier
from ggcam.models.feature_distance import FeatureDistance
from ggcam.training.model_spec import ModelSpec


class TorchEngine:
    """Runs a classifier with torch, in evaluation mode and without gradients.

    Args:
        model: trained classifier; it is moved to the device, in the channels-last memory format.
        device: where to run.
        distance: measures the distance of features; None to leave it out.
        precision: "32" or "bf16"; the head computes in float32 in either.
    """

    def __init__(
        self,
        model: CAMClassifier,
        device: torch.device,
        distance: FeatureDistance | None = None,
        precision: Precision = "32",
    ):
        self.device = device
        self.bf16 = precision == "bf16"
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
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                output = self.model(on_device)
            distance = None if self.distance is None else self.distance(output.features.float()).cpu().numpy()
        return EngineOutput(output.logits.float().cpu().numpy(), output.cam.float().cpu().numpy(), distance)


def open_torch(
    model: CAMClassifier,
    device: torch.device,
    distance: FeatureDistance | None,
    precision: PrecisionName,
    spec: ModelSpec,
) -> ChosenEngine:
    """Choose the precision of a classifier that torch runs.

    Args:
        model: trained classifier.
        device: where to run.
        distance: measures the distance of features; None to leave it out.
        precision: "32", "bf16", or "auto" for the faster of the two.
        spec: description of the classifier.

    Returns:
        The engine.
    """

    def opened(wanted: Precision) -> ChosenEngine:
        return ChosenEngine("torch", wanted, TorchEngine(model, device, distance, wanted))

    if precision != "auto":
        return opened(precision)
    name = f"{spec.net} {spec.type}, {spec.num_stages} stages, stride {spec.output_stride}, head {spec.head}"
    if device.type == "cpu":
        return faster(f"{name}, torch", opened, timed_image(spec.channels, spec.frame.shape), time.process_time)
    name = f"{name}, torch on {torch.cuda.get_device_name(device) if device.type == 'cuda' else device.type}"
    return faster(name, opened, timed_image(spec.channels, spec.frame.shape), time.perf_counter)


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
