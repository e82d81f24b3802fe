"""Open a trained network, from a run folder or an ONNX file, and choose the engine that runs it."""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from ggcam.data.bit_depth import ALL_BITS
from ggcam.data.case import Frame
from ggcam.data.framing import FRAMINGS, Framing
from ggcam.data.prepared_checks import check_class_names
from ggcam.errors import ConfigError, GGCamError, WeightsError
from ggcam.inference.engines import ONNX_ENGINES, Engine, EngineName, TorchEngine
from ggcam.inference.onnx import check_packages, read_metadata
from ggcam.inference.probabilities import BatchPredictor, find_device
from ggcam.inference.run_onnx import cached_onnx, read_cached_onnx
from ggcam.training.run import Run, open_run
from ggcam.training.typicality import Typicality, parse_typicality

log = logging.getLogger(__name__)

AUTO_PIXELS = 100_000_000
"""Total number of pixels (50 images of 1536x1280) from which converting to ONNX takes less time than it saves."""


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network, ready to predict.

    Attributes:
        class_names: name of each output.
        framing: brings raw images into the frame, in the way of the training images.
        predict_batch: computes logits, probabilities and CAMs of images of the frame.
        engine: name of the engine in use.
        typicality: what the training images look like; None if it is not known.
    """

    class_names: tuple[str, ...]
    framing: Framing
    predict_batch: BatchPredictor
    engine: str
    typicality: Typicality | None = None


def open_network(
    path: Path, engine: EngineName = "auto", device: str | None = None, expected_images: int = 1
) -> Network:
    """Open a run folder, or an ONNX file that `ggcam export --format onnx` wrote.

    The engine "auto" is torch on a GPU. On a CPU it is the first installed engine of `ONNX_ENGINES`, if the run folder
    has a NET.onnx or there are enough images for writing it to pay off; otherwise torch.

    Args:
        path: run folder or ONNX file.
        engine: what runs the network.
        device: torch device; None for a GPU where there is one. ONNX engines run on the CPU only.
        expected_images: number of images that will be predicted, for the choice of "auto".

    Returns:
        The network.

    Raises:
        ConfigError: the device does not exist, or the engine is not installed or does not run there.
        RunFolderError: the run is unfinished or damaged, or the path does not exist.
        WeightsError: the file is not an ONNX file written by ggcam.
    """
    if path.is_file():
        return _open_file(path, engine, device)
    run = open_run(path)
    name, chosen = _choose_engine(run, engine, device, expected_images)
    framing = FRAMINGS[run.spec.framing](run.spec.frame, run.spec.used_bits, run.spec.channels)
    predictor = BatchPredictor(chosen, run.spec.multi_label, run.calibration.temperature)
    return Network(run.class_names, framing, predictor, name, run.typicality)


def _open_file(path: Path, engine: EngineName, device: str | None) -> Network:
    check_packages("onnx", where=path)
    try:
        content = path.read_bytes()
        metadata = read_metadata(content)
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
    if engine == "torch":
        raise ConfigError(
            "torch cannot run an ONNX file",
            where="--engine",
            expected=" or ".join(ONNX_ENGINES),
            got=engine,
            hint="leave --engine out, or predict with the run folder",
        )
    _check_cpu(engine, device)
    name = (_fastest_installed() or "onnxruntime") if engine == "auto" else engine
    predictor = BatchPredictor(ONNX_ENGINES[name](content), multi_label, temperature)
    return Network(names, framing, predictor, name, typicality)


def _choose_engine(run: Run, name: EngineName, device: str | None, expected_images: int) -> tuple[str, Engine]:
    """Return the engine and its name."""
    if name == "torch":
        return name, _torch_engine(run, find_device(device))
    if name != "auto":
        _check_cpu(name, device)
        check_packages("onnx", name, where=f"--engine {name}")
        return name, ONNX_ENGINES[name](cached_onnx(run))
    torch_device = find_device(device)
    fastest = _fastest_installed("onnx", "onnxscript", "onnxruntime")  # the last two write and check an ONNX file
    if torch_device.type == "cpu" and fastest is not None:
        frame = run.spec.frame
        pays_off = expected_images * frame.height_px * frame.width_px >= AUTO_PIXELS
        try:
            content = cached_onnx(run) if pays_off else read_cached_onnx(run)
            if content is not None:
                return fastest, ONNX_ENGINES[fastest](content)
        except ConfigError as error:  # no engine was asked for, so torch will do
            log.warning("predicting with torch: %s", error.what)
    return "torch", _torch_engine(run, torch_device)


def _torch_engine(run: Run, device: torch.device) -> TorchEngine:
    model = run.load_model()
    return TorchEngine(model, device, run.load_feature_distance(model))


def _fastest_installed(*required: str) -> str | None:
    """Return the fastest installed engine for ONNX files, or None if it or a required package is missing."""
    if not all(map(importlib.util.find_spec, required)):
        return None
    return next((name for name in ONNX_ENGINES if importlib.util.find_spec(name) is not None), None)


def _check_cpu(engine: str, device: str | None) -> None:
    if device is not None and find_device(device).type != "cpu":
        raise ConfigError(
            "ONNX files run on the CPU only",
            where="--engine, --device",
            got=f"{engine} on {device}",
            hint="leave --device out, or predict with the run folder and --engine torch",
        )
