"""Post-training quantisation: an ONNX file in float32 -> one that computes in 8-bit integers."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Shaped

from ggcam.inference.onnx import INPUT, check_packages
from ggcam.utils.atomic import naming_place
from ggcam.utils.telemetry import import_onnxruntime

if TYPE_CHECKING:
    import onnx

QUANTISED = ("Conv", "MatMul", "Gemm", "Relu", "Clip")
"""Operations that are quantised: those that take most of the time, and the activations that cut their range.

ONNX Runtime merges ReLU and ReLU6 (Clip) with the convolution before them, whose 256 levels then span what the
activation lets through, such as 0 to 6. Without them in the list, the levels span all that the convolution gives, such
as -60 to 60 before a ReLU6, and few of them remain for 0 to 6. The CAM head (an Einsum) stays in float32.
"""

FIRST_BLOCK = 3
"""Number of convolutions at the start that stay in float32 if one of them is depthwise (see :func:`_kept_in_float`)."""


def quantise(content: bytes, images: Iterable[Shaped[np.ndarray, "b i H W"]]) -> bytes:
    """Quantise statically: weights per channel, activations over the range that they have on calibration images.

    A first block with a depthwise convolution, as in EfficientNet and MobileNet, stays in float32.

    Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference" (CVPR
    2018), as implemented in ONNX Runtime.

    Args:
        content: bytes of an ONNX file in float32.
        images: calibration images, in batches of the type that the file takes.

    Returns:
        Bytes of the quantised file, with the same metadata.

    Raises:
        ConfigError: a package is not installed.
    """
    check_packages("onnx", "onnxruntime", where="--format onnx-int8")
    import onnx

    import_onnxruntime()
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._batches: Iterator[Shaped[np.ndarray, "b i H W"]] = iter(images)

        def get_next(self) -> Any:  # a dict, or None at the end: the base class annotates a dict only
            image = next(self._batches, None)
            return None if image is None else {INPUT: image}

    root = logging.getLogger()
    level = root.level
    with tempfile.TemporaryDirectory() as folder:
        prepared, quantised = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        original = onnx.load_model_from_string(content)
        try:
            root.setLevel(logging.ERROR)  # ONNX Runtime logs its advice to the root logger
            with naming_place(folder):
                quant_pre_process(original, prepared)  # folds batch norm and constants, and infers shapes
                quantize_static(
                    prepared,
                    quantised,
                    Reader(),
                    quant_format=QuantFormat.QDQ,  # the format that OpenVINO reads as well
                    op_types_to_quantize=list(QUANTISED),
                    nodes_to_exclude=_kept_in_float(onnx.load_model(prepared)),
                    per_channel=True,
                    activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                )
        finally:
            root.setLevel(level)
        model = onnx.load_model(quantised)
    del model.metadata_props[:]
    model.metadata_props.extend(original.metadata_props)
    return model.SerializeToString()


def _kept_in_float(model: onnx.ModelProto) -> list[str]:
    """Return the names of the convolutions that stay in float32.

    A depthwise convolution sums few products per value, so rounding errors hardly cancel out, and those at the start
    pass through every later layer. Keeping the first block of an EfficientNet-Lite0 halved the mean change of its
    probabilities and took no longer. In a ResNet, whose start is slow in float32, nothing is gained by it.
    """
    per_group = {tensor.name: tensor.dims[1] for tensor in model.graph.initializer if len(tensor.dims) == 4}
    first = [node for node in model.graph.node if node.op_type == "Conv"][:FIRST_BLOCK]
    # The very first convolution has one input channel as well if images are grey.
    has_depthwise = any(per_group.get(node.input[1]) == 1 for node in first[1:])
    return [node.name for node in first] if has_depthwise else []
