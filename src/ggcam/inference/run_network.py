"""Open the network of a run folder, and choose the engine that runs it."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from math import prod
from pathlib import Path

import torch

from ggcam.data.framing import FRAMINGS
from ggcam.errors import ConfigError
from ggcam.inference.cached_onnx import read_cached_onnx
from ggcam.inference.devices import find_device
from ggcam.inference.engines import ChosenEngine, Engine, EngineName, check_cpu, fastest_installed
from ggcam.inference.network import Network
from ggcam.inference.onnx import OnnxFile, check_packages
from ggcam.inference.precision import PrecisionName, onnx_engine_for, open_onnx, runs_onnx
from ggcam.inference.probabilities import BatchPredictor
from ggcam.inference.run_onnx import cached_onnx, onnx_from_run
from ggcam.inference.torch_engine import open_torch
from ggcam.training.run import Run, open_run

log = logging.getLogger(__name__)

AUTO_PIXELS = 10_000_000
"""Total number of pixels from which converting to ONNX and keeping the file pays off.

On one core, converting a ResNet-50 takes 10 s, and an image of 512x448 0.36 s in torch and 0.16 s in ONNX Runtime, so
48 images (11 million pixels) make up for it.
"""

EVALUATION_PIXELS = 4 * AUTO_PIXELS
"""The same for an evaluation, which does not keep the file: the folders of a study would become twice as large."""


def open_run_network(
    path: Path, engine: EngineName, device: str | None, expected_images: int, precision: PrecisionName
) -> Network:
    """Open a run folder; see :func:`ggcam.inference.network.open_network`.

    Args:
        path: run folder.
        engine: what runs the network.
        device: torch device; None for a GPU where there is one.
        expected_images: number of images that will be predicted.
        precision: what the network is computed in; the engine is able to.

    Returns:
        The network.

    Raises:
        ConfigError: the device does not exist, or the engine is not installed or does not run there.
        RunFolderError: the run is unfinished or damaged, or the path does not exist.
        PreparedFolderError: the images of the run, on which int8 is calibrated, do not exist.
    """
    run = open_run(path)
    chosen = _choose_engine(run, engine, device, expected_images, precision)
    framing = FRAMINGS[run.spec.framing](run.spec.frame, run.spec.used_bits, run.spec.channels)
    predictor = BatchPredictor(chosen.engine, run.spec.multi_label, run.calibration.temperature)
    return Network(run.class_names, framing, predictor, chosen.name, run.typicality, chosen.precision)


def evaluation_engine(run: Run, device: str | None, images: int) -> Engine:
    """Choose the engine that evaluates a run on 8-bit images: the fastest, as "auto" does.

    Args:
        run: the run.
        device: torch device; None for a GPU where there is one.
        images: number of images.

    Returns:
        The engine.

    Raises:
        ConfigError: the device does not exist.
        RunFolderError: the run is unfinished or damaged.
    """
    torch_device = find_device(device)
    pays_off = images * prod(run.spec.frame.shape) >= EVALUATION_PIXELS
    file = _onnx_file(run, torch_device, pays_off, onnx_from_run)
    if file is None:
        return _torch_engine(run, torch_device, "32").engine
    return open_onnx(file, "auto", "32").engine


def _choose_engine(
    run: Run, engine: EngineName, device: str | None, expected_images: int, precision: PrecisionName
) -> ChosenEngine:
    if engine == "torch":
        return _torch_engine(run, find_device(device), precision)
    if precision == "int8":
        from ggcam.inference.run_int8 import cached_int8  # imports pandas, which nothing else here needs

        name = onnx_engine_for(engine, precision) or "onnxruntime"
        check_cpu(name, device)
        check_packages("onnx", name, where="--precision int8")
        return open_onnx(cached_int8(run), name, precision)
    if engine != "auto":
        check_cpu(engine, device)
        check_packages("onnx", engine, where=f"--engine {engine}")
        return open_onnx(cached_onnx(run), engine, precision)
    torch_device = find_device(device)
    pays_off = expected_images * prod(run.spec.frame.shape) >= AUTO_PIXELS
    file = _onnx_file(run, torch_device, pays_off, cached_onnx) if runs_onnx(engine, precision) else None
    return _torch_engine(run, torch_device, precision) if file is None else open_onnx(file, engine, precision)


def _onnx_file(run: Run, device: torch.device, pays_off: bool, convert: Callable[[Run], OnnxFile]) -> OnnxFile | None:
    """Return the ONNX file of a run; None if torch is the better choice."""
    can_convert = all(map(importlib.util.find_spec, ("onnx", "onnxscript", "onnxruntime")))
    if device.type != "cpu" or not can_convert or fastest_installed() is None:
        return None
    try:
        return convert(run) if pays_off else read_cached_onnx(run.folder)
    except ConfigError as error:  # no engine was asked for, so torch will do
        log.warning("computing with torch: %s", error.what)
        return None


def _torch_engine(run: Run, device: torch.device, precision: PrecisionName) -> ChosenEngine:
    model = run.load_model()
    return open_torch(model, device, run.load_feature_distance(model), precision, run.spec)
