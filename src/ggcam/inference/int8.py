"""An ONNX file in float32 -> one that computes its convolutions and matrix products in 8-bit integers."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from ggcam.inference.onnx import INPUT, check_packages

QUANTISED = ("Conv", "MatMul", "Gemm")
"""Operations in which the time goes. The CAM head is none of them (it is an Einsum) and stays in float32."""


def quantise(content: bytes, images: Iterable[Shaped[np.ndarray, "b 1 H W"]]) -> bytes:
    """Quantise statically: weights channel by channel, activations by the range that they have on some images.

    Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference" (CVPR
    2018), as ONNX Runtime does it.

    Args:
        content: of an ONNX file.
        images: batches, of the type that the file takes, from which the ranges are learned.

    Returns:
        The content of the quantised file; the metadata are kept.

    Raises:
        ConfigError: a package is missing.
    """
    check_packages("onnx", "onnxruntime", where="--format onnx-int8")
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._left: Iterator[Shaped[np.ndarray, "b 1 H W"]] = iter(images)

        def get_next(self) -> Any:  # a dict, or None at the end, which the base class does not say
            image = next(self._left, None)
            return None if image is None else {INPUT: image}

    root = logging.getLogger()
    level = root.level
    with tempfile.TemporaryDirectory() as folder:
        ready, result = Path(folder) / "ready.onnx", Path(folder) / "int8.onnx"
        original = onnx.load_model_from_string(content)
        try:
            root.setLevel(logging.ERROR)  # the root logger is what ONNX Runtime gives its advice to
            quant_pre_process(original, ready)  # folds batch norm and constants, and finds every shape
            quantize_static(
                ready,
                result,
                Reader(),
                quant_format=QuantFormat.QDQ,  # the form that OpenVINO reads too
                op_types_to_quantize=list(QUANTISED),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        finally:
            root.setLevel(level)
        made = onnx.load_model(result)
    del made.metadata_props[:]
    made.metadata_props.extend(original.metadata_props)
    return made.SerializeToString()
