"""What computes a network's answers: torch on any device; ONNX Runtime or OpenVINO, from an ONNX file, on the CPU.

All compute in float32 and agree within `onnx_file.TOLERANCE`. They take as many threads as torch is given.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ggcam.inference.onnx import INPUT, OUTPUTS, check_packages, read_notes
from ggcam.models.cam import CAMClassifier

EngineName = Literal["auto", "torch", "onnxruntime", "openvino"]


class Outputs(NamedTuple):
    """Of a batch of b images, k classes and a CAM of h x w cells, in float32."""

    logits: Float[np.ndarray, "b k"]
    cam: Float[np.ndarray, "b k h w"]


@runtime_checkable
class Engine(Protocol):
    """Images -> logits and CAM, from one pass."""

    def __call__(self, image: Shaped[Tensor, "b i H W"]) -> Outputs:
        """Images (b, channels, H, W), as :class:`CAMClassifier` takes them; an ONNX file takes uint8 alone."""
        ...


class TorchEngine:
    """A model in evaluation mode, without gradients, in the memory layout that suits convolutions.

    Args:
        model: a trained classifier; it is moved.
        device: where to.
    """

    def __init__(self, model: CAMClassifier, device: torch.device):
        self.device = device
        self.model = model.eval().to(device).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, image: Shaped[Tensor, "b i H W"]) -> Outputs:
        """Images -> logits and CAM."""
        if self.device.type == "cuda":
            image = image.pin_memory()  # or the copy would wait for the work before it
        on_device = image.to(self.device, non_blocking=True).contiguous(memory_format=torch.channels_last)
        output = self.model(on_device)
        return Outputs(*(part.float().cpu().numpy() for part in (output.logits, output.cam)))


class OnnxEngine(ABC):
    """Something that computes an ONNX file on the CPU.

    Args:
        content: of an ONNX file of :func:`ggcam.inference.onnx.onnx_file`.

    Raises:
        ConfigError: a package is missing.
        WeightsError: it is no such file.
    """

    package: str
    """What it needs; also its name on the command line."""

    def __init__(self, content: bytes):
        check_packages("onnx", self.package, where=f"--engine {self.package}")
        self._pixels = read_notes(content)["pixels"]
        self._load(content)

    def __call__(self, image: Shaped[Tensor, "b 1 H W"]) -> Outputs:
        """Images, uint8 -> logits and CAM."""
        return self._compute(_as_pixels(image, self._pixels))

    @abstractmethod
    def _load(self, content: bytes) -> None:
        """Make the engine ready."""

    @abstractmethod
    def _compute(self, pixels: Shaped[np.ndarray, "b 1 H W"]) -> Outputs:
        """Images of the type that the file takes -> logits and CAM."""


class OnnxRuntimeEngine(OnnxEngine):
    """ONNX Runtime."""

    package = "onnxruntime"

    def _load(self, content: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def _compute(self, pixels: Shaped[np.ndarray, "b 1 H W"]) -> Outputs:
        logits, cam = self._session.run(list(OUTPUTS), {INPUT: pixels})
        return Outputs(np.asarray(logits), np.asarray(cam))


class OpenVinoEngine(OnnxEngine):
    """OpenVINO."""

    package = "openvino"

    def _load(self, content: bytes) -> None:
        import openvino

        core = openvino.Core()
        # Left alone, it would compute in bfloat16 wherever the machine can, and answers would depend on the machine.
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        self._compiled = core.compile_model(core.read_model(content), "CPU", settings)

    def _compute(self, pixels: Shaped[np.ndarray, "b 1 H W"]) -> Outputs:
        found = self._compiled([pixels])
        return Outputs(*(np.array(found[name]) for name in OUTPUTS))  # copies: the engine's own memory is used again


ONNX_ENGINES: Mapping[str, type[OnnxEngine]] = {kind.package: kind for kind in (OnnxRuntimeEngine, OpenVinoEngine)}
"""Name on the command line -> engine, the fastest first: the order that `benchmarks/prediction.py` finds, of two that
are close."""


def _as_pixels(image: Shaped[Tensor, "b 1 H W"], pixels: str) -> Shaped[np.ndarray, "b 1 H W"]:
    """Bytes, widened where the file takes 16 bits: 255 becomes 65535."""
    if image.dtype != torch.uint8:
        raise TypeError(f"an ONNX engine takes images of torch.uint8, not of {image.dtype}")
    return image.numpy() if pixels == "uint8" else image.numpy().astype(np.uint16) * np.uint16(257)
