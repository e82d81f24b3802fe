"""Inference engines: torch on any device; ONNX Runtime or OpenVINO on the CPU, from an ONNX file.

All engines compute in float32, agree within `ggcam.inference.onnx.TOLERANCE`, and use as many threads as torch does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ggcam.errors import WeightsError
from ggcam.inference.onnx import DISTANCE, INPUT, OUTPUTS, check_packages, read_metadata
from ggcam.models.cam import CAMClassifier
from ggcam.models.feature_distance import FeatureDistance
from ggcam.utils.telemetry import import_onnxruntime, import_openvino

EngineName = Literal["auto", "torch", "onnxruntime", "openvino"]


class EngineOutput(NamedTuple):
    """Logits and CAMs of a batch of b images, for k classes and a CAM grid of h x w cells, in float32.

    `distance` says how far the features of each image are from those of the training images; None if not measured.
    """

    logits: Float[np.ndarray, "b k"]
    cam: Float[np.ndarray, "b k h w"]
    distance: Float[np.ndarray, " b"] | None = None


@runtime_checkable
class Engine(Protocol):
    """Anything that computes logits and CAMs of a batch of images in one pass."""

    def __call__(self, image: Shaped[Tensor, "b i H W"]) -> EngineOutput:
        """Compute logits and CAMs.

        Args:
            image: shape (b, channels, H, W), as :class:`ggcam.CAMClassifier` takes it; engines that run ONNX files take
                uint8 only.

        Returns:
            Logits and CAMs.
        """
        ...


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
    def __call__(self, image: Shaped[Tensor, "b i H W"]) -> EngineOutput:
        """Compute logits and CAMs; see :meth:`Engine.__call__`."""
        if self.device.type == "cuda":
            image = image.pin_memory()  # pageable memory would make the copy wait for the GPU's earlier work
        on_device = image.to(self.device, non_blocking=True).contiguous(memory_format=torch.channels_last)
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


class OnnxEngine(ABC):
    """Base class of the engines that run an ONNX file on the CPU.

    Args:
        content: bytes of an ONNX file written by :func:`ggcam.inference.onnx.to_onnx`.

    Raises:
        ConfigError: a required package is not installed.
        WeightsError: the bytes are not an ONNX file written by ggcam, or the package cannot run the file.
    """

    package: str
    """Package that runs the file; also the engine's name on the command line."""

    def __init__(self, content: bytes):
        check_packages("onnx", self.package, where=f"--engine {self.package}")
        metadata = read_metadata(content)
        self._pixels = metadata["pixels"]
        self._class_names = metadata.get("class_names")
        with self._damage_in_words():
            self._load(content)

    def __call__(self, image: Shaped[Tensor, "b i H W"]) -> EngineOutput:
        """Compute logits and CAMs; see :meth:`Engine.__call__`."""
        pixels = _to_pixels(image, self._pixels)
        with self._damage_in_words():
            output = self._compute(pixels)
        shapes = [output.logits.shape, output.cam.shape]
        classes = output.logits.shape[-1] if self._class_names is None else len(self._class_names)
        if output.distance is not None:
            shapes.append(output.distance.shape)
        fits = shapes[0] == (len(pixels), classes) and len(shapes[1]) == 4 and shapes[1][:2] == shapes[0]
        if not fits or shapes[2:] not in ([], [(len(pixels),)]):
            raise WeightsError(
                "the outputs of the ONNX file do not fit its metadata",
                expected=f"logits and a CAM for each of {classes} classes",
                got=f"shapes {shapes}",
                hint="export the run again",
            )
        return output

    @contextmanager
    def _damage_in_words(self) -> Iterator[None]:
        try:
            yield
        except MemoryError:
            raise
        except Exception as error:  # each package has its own exceptions
            raise WeightsError(
                f"the ONNX file is damaged, or {self.package} cannot run it",
                got=f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"[:300],
                hint="export the run again",
            ) from error

    @abstractmethod
    def _load(self, content: bytes) -> None:
        """Load the file."""

    @abstractmethod
    def _compute(self, pixels: Shaped[np.ndarray, "b i H W"]) -> EngineOutput:
        """Run the file on images of the type that it takes."""


class OnnxRuntimeEngine(OnnxEngine):
    """Runs an ONNX file with ONNX Runtime."""

    package = "onnxruntime"

    def _load(self, content: bytes) -> None:
        onnxruntime = import_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def _compute(self, pixels: Shaped[np.ndarray, "b i H W"]) -> EngineOutput:
        names = _output_names(output.name for output in self._session.get_outputs())
        return EngineOutput(*map(np.asarray, self._session.run(names, {INPUT: pixels})))


class OpenVinoEngine(OnnxEngine):
    """Runs an ONNX file with OpenVINO."""

    package = "openvino"

    def _load(self, content: bytes) -> None:
        core = _openvino_core()
        # By default OpenVINO uses bfloat16 where the CPU supports it, and results would depend on the CPU.
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        self._compiled = core.compile_model(core.read_model(content), "CPU", settings)

    def _compute(self, pixels: Shaped[np.ndarray, "b i H W"]) -> EngineOutput:
        found = self._compiled([pixels])
        names = _output_names(name for output in self._compiled.outputs for name in output.names)
        return EngineOutput(*(np.array(found[name]) for name in names))  # copies: OpenVINO reuses its buffers


ONNX_ENGINES: Mapping[str, type[OnnxEngine]] = {kind.package: kind for kind in (OnnxRuntimeEngine, OpenVinoEngine)}
"""Engine name -> engine, fastest first according to `benchmarks/prediction.py` (the two are close)."""


def _output_names(existing: Iterable[str]) -> list[str]:
    """Return the outputs to compute; files of earlier versions have no distance."""
    return [*OUTPUTS, DISTANCE] if DISTANCE in existing else list(OUTPUTS)


@cache
def _openvino_core() -> Any:
    """Return this process's one OpenVINO core.

    On CPUs with AMX each core gives the thread a signal stack of its own and takes it away when it is deleted. With two
    cores, the stack that remains may be one that no longer exists, and the next signal ends the process.
    """
    return import_openvino().Core()


def _to_pixels(image: Shaped[Tensor, "b i H W"], pixels: str) -> Shaped[np.ndarray, "b i H W"]:
    """Convert 8-bit images to the type that the file takes; 255 becomes 65535 in 16 bits."""
    if image.dtype != torch.uint8:
        raise TypeError(f"an ONNX engine takes images of torch.uint8, got {image.dtype}")
    values = np.ascontiguousarray(image.numpy())  # the channels of RGB images may come last in memory
    return values if pixels == "uint8" else values.astype(np.uint16) * np.uint16(257)
