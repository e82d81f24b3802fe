"""Open the network of a run folder, and choose the engine that runs it."""

from __future__ import annotations

import importlib.util
import logging
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
from ggcam.inference.run_onnx import cached_onnx
from ggcam.inference.torch_engine import TorchEngine
from ggcam.training.run import Run, open_run

log = logging.getLogger(__name__)

AUTO_PIXELS = 100_000_000
"""Total number of pixels (50 images of 1536x1280) from which converting to ONNX takes less time than it saves."""


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


def _choose_engine(run: Run, name: EngineName, device: str | None, expected_images: int) -> tuple[EngineName, Engine]:
    """Return the engine and its name."""
    if name == "torch":
        return name, _torch_engine(run, find_device(device))
    if name != "auto":
        check_cpu(name, device)
        check_packages("onnx", name, where=f"--engine {name}")
        return name, ONNX_ENGINES[name](cached_onnx(run))
    torch_device = find_device(device)
    can_convert = all(map(importlib.util.find_spec, ("onnx", "onnxscript", "onnxruntime")))
    fastest = fastest_installed() if can_convert else None
    if torch_device.type == "cpu" and fastest is not None:
        frame = run.spec.frame
        pays_off = expected_images * frame.height_px * frame.width_px >= AUTO_PIXELS
        try:
            content = cached_onnx(run) if pays_off else read_cached_onnx(run.folder)
            if content is not None:
                return fastest, ONNX_ENGINES[fastest](content)
        except ConfigError as error:  # no engine was asked for, so torch will do
            log.warning("predicting with torch: %s", error.what)
    return "torch", _torch_engine(run, torch_device)


def _torch_engine(run: Run, device: torch.device) -> TorchEngine:
    model = run.load_model()
    return TorchEngine(model, device, run.load_feature_distance(model))
