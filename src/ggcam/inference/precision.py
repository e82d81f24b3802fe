"""The precision of a prediction: what each engine computes in, and the faster one by measurement. Needs no torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from jaxtyping import Shaped, UInt8

from ggcam.errors import ConfigError
from ggcam.inference.engines import (
    ONNX_ENGINES,
    ChosenEngine,
    Engine,
    EngineName,
    Precision,
    installed_engines,
    openvino_computes_bf16,
)
from ggcam.inference.onnx import OnnxFile
from ggcam.utils.faster_precision import TIMED_IMAGES, FloatPrecision, faster_precision, shortest_times
from ggcam.utils.processor import processor_name
from ggcam.utils.versions import versions

PrecisionName = Literal["auto", "32", "bf16", "int8"]
"""Precisions on the command line."""

Clock = Callable[[], float]
"""Returns a time in seconds."""

ENGINE_PRECISIONS: Mapping[EngineName, tuple[Precision, ...]] = {
    "torch": ("32", "bf16"),
    "onnxruntime": ("32", "int8"),
    "openvino": ("32", "bf16", "int8"),
}
"""What each engine computes in. ONNX Runtime has no bfloat16 for CPUs."""

CACHE = "prediction_precision"


def check_precision(engine: EngineName, precision: PrecisionName | None) -> None:
    """Check that an engine computes in a precision.

    Args:
        engine: name of the engine; "auto" is able to do everything.
        precision: the precision; "auto" and None are always possible.

    Raises:
        ConfigError: it does not, or not on this processor.
    """
    if engine == "auto" or precision is None or precision == "auto":
        return
    if precision not in ENGINE_PRECISIONS[engine]:
        others = [name for name, known in ENGINE_PRECISIONS.items() if precision in known]
        raise ConfigError(
            f"{engine} does not compute in {precision}",
            where="--engine, --precision",
            expected=f"--precision {' or '.join(ENGINE_PRECISIONS[engine])}",
            got=precision,
            hint=f"leave --engine out, or pass --engine {' or '.join(others)}",
        )
    needs_openvino = precision == "bf16" and engine == "openvino"
    if needs_openvino and "openvino" in installed_engines() and not openvino_computes_bf16():
        raise ConfigError(
            "OpenVINO does not compute in bf16 on this processor, which has no instructions for it",
            where="--engine, --precision",
            hint="pass --precision 32, or --engine torch",
        )


def onnx_engine_for(engine: EngineName, precision: Precision) -> EngineName | None:
    """Choose the engine that runs an ONNX file in a precision.

    Args:
        engine: the wanted engine for ONNX files; "auto" for the fastest that is installed.
        precision: the precision.

    Returns:
        Name of the engine; None if no installed one computes in it.

    Raises:
        ConfigError: the wanted engine does not compute in it.
    """
    check_precision(engine, precision)
    if engine != "auto":
        return engine
    able: list[EngineName] = [name for name in installed_engines() if precision in ENGINE_PRECISIONS[name]]
    return next((name for name in able if precision != "bf16" or openvino_computes_bf16()), None)


def runs_onnx(engine: EngineName, precision: PrecisionName | None) -> bool:
    """Return whether an engine runs ONNX files in a precision, and any such engine is installed.

    Args:
        engine: the wanted engine; "auto" for any.
        precision: the precision; None and "auto" for float32.
    """
    wanted = "32" if precision is None or precision == "auto" else precision
    return engine != "torch" and bool(installed_engines()) and onnx_engine_for(engine, wanted) is not None


def open_onnx(file: OnnxFile, engine: EngineName, precision: PrecisionName | None) -> ChosenEngine:
    """Open an ONNX file with an engine and in a precision.

    Args:
        file: the file.
        engine: the wanted engine, not "torch".
        precision: the wanted precision; None is the file's own.

    Returns:
        The engine.

    Raises:
        ConfigError: the file cannot be computed in the precision, or no engine does that.
        WeightsError: the file is damaged, or the engine cannot run it.
    """
    own: Precision = file.metadata["precision"]
    if precision == "int8" and own != "int8":
        raise ConfigError(
            "the ONNX file computes in float32",
            where="--precision",
            got=precision,
            hint="predict with the run folder, or write a file in int8: ggcam export RUN --format onnx-int8",
        )
    if own == "int8" and precision in ("32", "bf16"):
        raise ConfigError(
            "the ONNX file computes in int8",
            where="--precision",
            got=precision,
            hint="leave --precision out, or predict with the run folder or a file of --format onnx",
        )

    def opened(wanted: Precision) -> ChosenEngine:
        name = onnx_engine_for(engine, wanted)
        if name is None and wanted == "bf16":
            raise ConfigError(
                "no installed engine computes ONNX files in bf16 on this processor",
                where="--precision",
                got=", ".join(installed_engines()) or "no engine for ONNX files",
                hint="pass --precision 32, or predict with the run folder and --engine torch",
            )
        name = name or "onnxruntime"  # says that it is not installed
        return ChosenEngine(name, wanted, ONNX_ENGINES[name](file, wanted))

    if precision != "auto" or own == "int8":
        return opened("bf16" if precision == "bf16" else own)
    if engine == "onnxruntime" or onnx_engine_for("auto", "bf16") is None:
        return opened("32")
    height, width = file.metadata["size"]
    image = timed_image(file.metadata["channels"], (height, width))
    return faster(f"ONNX file of {len(file.content)} bytes", opened, image, time.process_time)


def faster(
    network: str, opened: Callable[[Precision], ChosenEngine], image: Shaped[np.ndarray, "b i H W"], clock: Clock
) -> ChosenEngine:
    """Choose between float32 and bfloat16 by timing a forward pass in each, once per machine, network and size.

    int8 is never chosen: it needs images to calibrate on, and changes more decisions.

    Args:
        network: name of the network and of the engines, under which the choice is remembered.
        opened: opens the best engine for a precision.
        image: images to measure with.
        clock: time in seconds: of the processor where the network runs on it.

    Returns:
        The engine.
    """
    parts = (network, image.shape, processor_name(), versions("torch", "onnxruntime", "openvino"))
    chosen: dict[FloatPrecision, ChosenEngine] = {}

    def measure() -> dict[FloatPrecision, float]:
        chosen.update({"32": opened("32"), "bf16": opened("bf16")})
        return _measure({precision: each.engine for precision, each in chosen.items()}, image, clock)

    precision = faster_precision(CACHE, ", ".join(map(str, parts)), measure)
    return chosen.get(precision) or opened(precision)


def _measure(
    engines: Mapping[FloatPrecision, Engine], image: Shaped[np.ndarray, "b i H W"], clock: Clock
) -> dict[FloatPrecision, float]:
    """Time a forward pass in each precision."""

    def timed(precision: FloatPrecision) -> float:
        started = clock()
        engines[precision](image)
        return clock() - started

    return shortest_times(timed)


def timed_image(channels: int, size: tuple[int, int]) -> UInt8[np.ndarray, "b i H W"]:
    """Return noise to measure with.

    Args:
        channels: number of channels.
        size: height and width.

    Returns:
        A batch of images.
    """
    return np.random.default_rng(0).integers(0, 256, (TIMED_IMAGES, channels, *size), dtype=np.uint8)
