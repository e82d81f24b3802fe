"""Open a trained network, from a run folder or an ONNX file, and choose the engine that runs it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from ggcam.data.bit_depth import ALL_BITS
from ggcam.data.case import Frame
from ggcam.data.class_names import check_class_names
from ggcam.data.framing import FRAMINGS, Framing
from ggcam.errors import ConfigError, GGCamError, WeightsError
from ggcam.inference.bundle import Bundle, is_bundle, open_bundle
from ggcam.inference.cached_onnx import read_cached_onnx
from ggcam.inference.engines import ONNX_ENGINES, EngineName, Precision, check_cpu
from ggcam.inference.onnx import OnnxFile, check_packages
from ggcam.inference.precision import PrecisionName, check_precision, open_onnx, runs_onnx
from ggcam.inference.probabilities import BatchPredictor
from ggcam.run_folder import open_run_folder
from ggcam.training.typicality import Typicality, parse_typicality

_GPU_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Device files on Linux of the drivers of NVIDIA and AMD, and of GPUs in the subsystem of Windows."""


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network, ready to predict.

    Attributes:
        class_names: name of each output.
        framing: brings raw images into the frame, in the way of the training images.
        predict_batch: computes logits, probabilities and CAMs of images of the frame.
        engine: name of the engine in use.
        typicality: what the training images look like; None if it is not known.
        precision: what the engine computes in.
    """

    class_names: tuple[str, ...]
    framing: Framing
    predict_batch: BatchPredictor
    engine: EngineName
    typicality: Typicality | None = None
    precision: Precision = "32"


def open_network(
    path: Path,
    engine: EngineName = "auto",
    device: str | None = None,
    expected_images: int = 1,
    precision: PrecisionName | None = None,
) -> Network:
    """Open a run folder, or an ONNX file or a bundle that `ggcam export` wrote.

    The engine "auto" is torch on a GPU. On a CPU it is the first installed engine of `ONNX_ENGINES`, if the run folder
    has a NET.onnx or there are enough images for writing it to pay off; otherwise torch. In int8 it is always one of
    `ONNX_ENGINES`, and in bfloat16 OpenVINO or torch.

    Args:
        path: run folder, ONNX file or bundle.
        engine: what runs the network.
        device: torch device; None for a GPU where there is one. ONNX engines run on the CPU only.
        expected_images: number of images that will be predicted, for the choice of "auto".
        precision: what the network is computed in. "auto" is the faster one of float32 and bfloat16, by measurement.
            None is float32, or int8 for an ONNX file in int8.

    Returns:
        The network.

    Raises:
        ConfigError: the device does not exist, or the engine is not installed, does not run there, or does not compute
            in the precision.
        RunFolderError: the run is unfinished or damaged, or the path does not exist.
        PreparedFolderError: the images of the run, on which int8 is calibrated, do not exist.
        WeightsError: the file is not an ONNX file written by ggcam.
        BundleError: the bundle is incomplete, has changed, or is of another version.
    """
    check_precision(engine, precision)
    if path.is_file():
        return _open_file(path, engine, device, precision)
    on_cpu = device == "cpu" or (device is None and not may_have_gpu())
    with_onnx = on_cpu and runs_onnx(engine, precision)
    if is_bundle(path):
        return _open_bundle(open_bundle(path), engine, device, with_onnx, precision)
    if with_onnx:
        file = read_cached_onnx(open_run_folder(path), "int8" if precision == "int8" else "32")
        if file is not None:
            return _open_onnx(file, path, engine, precision)
    from ggcam.inference.run_network import open_run_network  # imports torch, which an ONNX file does without

    return open_run_network(path, engine, device, expected_images, precision or "32")


def may_have_gpu() -> bool:
    """Return whether torch has to be asked for a GPU; False where the system has no driver of one."""
    return sys.platform != "linux" or any(map(os.path.exists, _GPU_DRIVERS))


def _open_bundle(
    bundle: Bundle, engine: EngineName, device: str | None, with_onnx: bool, precision: PrecisionName | None
) -> Network:
    if precision == "int8":
        raise ConfigError(
            "a bundle computes in float32",
            where="--precision",
            got=precision,
            hint="write a file in int8 from the run folder: ggcam export RUN --format onnx-int8",
        )
    if engine in ONNX_ENGINES or with_onnx:
        return _open_file(bundle.onnx, engine, device, precision)
    from ggcam.inference.bundle_network import open_in_torch

    return open_in_torch(bundle, device, precision or "32")


def _open_file(path: Path, engine: EngineName, device: str | None, precision: PrecisionName | None) -> Network:
    check_packages("onnx", where=path)
    if engine == "torch":
        raise ConfigError(
            "torch cannot run an ONNX file",
            where="--engine",
            expected=" or ".join(ONNX_ENGINES),
            got=engine,
            hint="leave --engine out, or predict with the run folder",
        )
    check_cpu(engine, device)
    return _open_onnx(OnnxFile(path.read_bytes()), path, engine, precision)


def _open_onnx(file: OnnxFile, path: Path, engine: EngineName, precision: PrecisionName | None) -> Network:
    """Open an ONNX file; `path` is named in messages."""
    try:
        metadata = file.metadata
        framing = FRAMINGS[metadata.get("framing", "fitted")](
            Frame(*metadata["size"]), int(metadata.get("used_bits", ALL_BITS)), metadata["channels"]
        )
        names, multi_label = tuple(metadata["class_names"]), metadata["multi_label"]
        check_class_names(names, path, WeightsError)
        temperature: list[float] = metadata.get("temperature", [1.0] * len(names))
        if len(temperature) != len(names) or min(temperature) <= 0:
            raise WeightsError("its metadata have no temperature above 0 for each class")
        typicality = parse_typicality(metadata["typicality"], path, WeightsError) if "typicality" in metadata else None
    except (WeightsError, ConfigError, KeyError, TypeError) as error:
        what = error.what if isinstance(error, GGCamError) else f"its metadata lack {error}"
        raise WeightsError(
            f"neither a run folder nor an ONNX file of one: {what}",
            where=path,
            expected="a folder written by `ggcam train` or a file written by `ggcam export --format onnx`",
        ) from error
    chosen = open_onnx(file, engine, precision)
    predictor = BatchPredictor(chosen.engine, multi_label, temperature)
    return Network(names, framing, predictor, chosen.name, typicality, chosen.precision)
