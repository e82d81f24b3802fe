"""Inference engines: what they have in common, and those that run an ONNX file on the CPU. None of them needs torch.

All engines, :class:`ggcam.inference.torch_engine.TorchEngine` included, agree within `ggcam.inference.onnx.TOLERANCE`.
"""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Shaped

from ggcam.errors import ConfigError, WeightsError
from ggcam.inference.onnx import DISTANCE, INPUT, OUTPUTS, OnnxFile, check_packages
from ggcam.utils.parallel import compute_threads
from ggcam.utils.telemetry import import_onnxruntime, import_openvino

EngineName = Literal["auto", "torch", "onnxruntime", "openvino"]

Precision = Literal["32", "bf16", "int8"]
"""What the arithmetic of a network is done in."""

PRECISION_NAMES: Mapping[Precision, str] = {"32": "float32", "bf16": "bfloat16", "int8": "int8"}
"""The precisions in messages."""


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

    def __call__(self, image: Shaped[np.ndarray, "b i H W"]) -> EngineOutput:
        """Compute logits and CAMs.

        Args:
            image: shape (b, channels, H, W), as :class:`ggcam.CAMClassifier` takes it; engines that run ONNX files take
                uint8 only.

        Returns:
            Logits and CAMs.
        """
        ...


class ChosenEngine(NamedTuple):
    """An engine, and how it was chosen to compute.

    Attributes:
        name: its name, not "auto".
        precision: what it computes in.
        engine: the engine.
    """

    name: EngineName
    precision: Precision
    engine: Engine


class OnnxEngine(ABC):
    """Base class of the engines that run an ONNX file on the CPU.

    Args:
        file: an ONNX file written by :func:`ggcam.inference.onnx_conversion.to_onnx`.
        precision: "bf16" to compute a file in float32 in bfloat16, which only OpenVINO can; otherwise the file decides.

    Raises:
        ConfigError: a required package is not installed.
        WeightsError: the bytes are not an ONNX file written by ggcam, or the package cannot run the file.
    """

    package: EngineName
    """Package that runs the file; also the engine's name on the command line."""

    def __init__(self, file: OnnxFile, precision: Precision = "32"):
        check_packages("onnx", self.package, where=f"--engine {self.package}")
        self.precision: Precision = precision
        self._pixels = file.metadata["pixels"]
        self._class_names = file.metadata.get("class_names")
        with self._damage_in_words():
            self._load(file.content)

    def __call__(self, image: Shaped[np.ndarray, "b i H W"]) -> EngineOutput:
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
        options.intra_op_num_threads = compute_threads()
        options.log_severity_level = 3
        # Threads that wait for work sleep. If they spun, they would hold up the processes that decode the next images:
        # a folder on two cores took 30.3 s of processor time instead of 28.0 s.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
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
        hint = "bf16" if self.precision == "bf16" else "f32"
        settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": compute_threads()}
        self._compiled = core.compile_model(core.read_model(content), "CPU", settings)

    def _compute(self, pixels: Shaped[np.ndarray, "b i H W"]) -> EngineOutput:
        found = self._compiled([pixels])
        names = _output_names(name for output in self._compiled.outputs for name in output.names)
        # Copies, because OpenVINO reuses its buffers.
        return EngineOutput(*(np.array(found[name], np.float32) for name in names))


ONNX_ENGINES: Mapping[EngineName, type[OnnxEngine]] = {
    kind.package: kind for kind in (OnnxRuntimeEngine, OpenVinoEngine)
}
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


def openvino_computes_bf16() -> bool:
    """Return whether this processor has instructions for bfloat16 that OpenVINO uses."""
    return "BF16" in _openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _to_pixels(image: Shaped[np.ndarray, "b i H W"], pixels: str) -> Shaped[np.ndarray, "b i H W"]:
    """Convert 8-bit images to the type that the file takes; 255 becomes 65535 in 16 bits."""
    if image.dtype != np.uint8:
        raise TypeError(f"an ONNX engine takes images of uint8, got {image.dtype}")
    values = np.ascontiguousarray(image)  # the channels of RGB images may come last in memory
    return values if pixels == "uint8" else values.astype(np.uint16) * np.uint16(257)


def installed_engines() -> list[EngineName]:
    """Return the names of the installed engines for ONNX files, the fastest first."""
    return [name for name in ONNX_ENGINES if importlib.util.find_spec(name) is not None]


def fastest_installed() -> EngineName | None:
    """Return the name of the fastest installed engine for ONNX files; None if there is none."""
    return next(iter(installed_engines()), None)


def check_cpu(engine: str, device: str | None) -> None:
    """Check that the device of an engine for ONNX files is the CPU.

    Args:
        engine: name of the engine, for the message.
        device: torch device; None is the CPU.

    Raises:
        ConfigError: it is another device.
    """
    if device is not None and device.partition(":")[0] != "cpu":
        raise ConfigError(
            "ONNX files run on the CPU only",
            where="--engine, --device",
            got=f"{engine} on {device}",
            hint="leave --device out, or predict with the run folder and --engine torch",
        )
