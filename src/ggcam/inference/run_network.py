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
from ggcam.inference.engines import ONNX_ENGINES, Engine, EngineName, check_cpu, fastest_installed
from ggcam.inference.network import Network
from ggcam.inference.onnx import check_packages
from ggcam.inference.probabilities import BatchPredictor
from ggcam.inference.run_onnx import cached_onnx, onnx_from_run
from ggcam.inference.torch_engine import TorchEngine
from ggcam.training.run import Run, open_run

log = logging.getLogger(__name__)

AUTO_PIXELS = 10_000_000
"""Total number of pixels from which converting to ONNX and keeping the file pays off.

On one core, converting a ResNet-50 takes 10 s, and an image of 512x448 0.36 s in torch and 0.16 s in ONNX Runtime, so
48 images (11 million pixels) make up for it.
"""

EVALUATION_PIXELS = 4 * AUTO_PIXELS
"""The same for an evaluation, which does not keep the file: the folders of a study would become twice as large."""


def open_run_network(path: Path, engine: EngineName, device: str | None, expected_images: int) -> Network:
    """Open a run folder; see :func:`ggcam.inference.network.open_network`.

    Args:
        path: run folder.
        engine: what runs the network.
        device: torch device; None for a GPU where there is one.
        expected_images: number of images that will be predicted.

    Returns:
        The network.

    Raises:
        ConfigError: the device does not exist, or the engine is not installed or does not run there.
        RunFolderError: the run is unfinished or damaged, or the path does not exist.
    """
    run = open_run(path)
    name, chosen = _choose_engine(run, engine, device, expected_images)
    framing = FRAMINGS[run.spec.framing](run.spec.frame, run.spec.used_bits, run.spec.channels)
    predictor = BatchPredictor(chosen, run.spec.multi_label, run.calibration.temperature)
    return Network(run.class_names, framing, predictor, name, run.typicality)


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
    found = _fastest_onnx(run, torch_device, images * prod(run.spec.frame.shape) >= EVALUATION_PIXELS, onnx_from_run)
    return _torch_engine(run, torch_device) if found is None else found[1]


def _choose_engine(run: Run, name: EngineName, device: str | None, expected_images: int) -> tuple[EngineName, Engine]:
    """Return the engine and its name."""
    if name == "torch":
        return name, _torch_engine(run, find_device(device))
    if name != "auto":
        check_cpu(name, device)
        check_packages("onnx", name, where=f"--engine {name}")
        return name, ONNX_ENGINES[name](cached_onnx(run))
    torch_device = find_device(device)
    found = _fastest_onnx(run, torch_device, expected_images * prod(run.spec.frame.shape) >= AUTO_PIXELS, cached_onnx)
    return ("torch", _torch_engine(run, torch_device)) if found is None else found


def _fastest_onnx(
    run: Run, device: torch.device, pays_off: bool, convert: Callable[[Run], bytes]
) -> tuple[EngineName, Engine] | None:
    """Return the fastest engine for the ONNX file of a run; None if torch is the better choice."""
    can_convert = all(map(importlib.util.find_spec, ("onnx", "onnxscript", "onnxruntime")))
    fastest = fastest_installed() if can_convert else None
    if device.type != "cpu" or fastest is None:
        return None
    try:
        content = convert(run) if pays_off else read_cached_onnx(run.folder)
        return None if content is None else (fastest, ONNX_ENGINES[fastest](content))
    except ConfigError as error:  # no engine was asked for, so torch will do
        log.warning("computing with torch: %s", error.what)
        return None


def _torch_engine(run: Run, device: torch.device) -> TorchEngine:
    model = run.load_model()
    return TorchEngine(model, device, run.load_feature_distance(model))
