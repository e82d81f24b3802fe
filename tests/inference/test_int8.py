"""Quantisation to 8-bit integers: a network with depthwise convolutions keeps its decisions."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ggcam.inference.engines import ONNX_ENGINES
from ggcam.inference.int8 import quantise
from ggcam.inference.onnx import INPUT, PREFIX, OnnxFile, read_metadata

CHANNELS, CLASSES, SIDE = 16, 3, 16


def depthwise_network(activation: str) -> bytes:
    """Two blocks with a depthwise convolution, as in MobileNetV2; in the second, the ranges of channels differ widely.

    The activation (ReLU or ReLU6) cuts off most of the range of its wide channels.
    """
    generator = np.random.default_rng(0)
    ranges = np.geomspace(1, 100, CHANNELS).reshape(-1, 1, 1, 1)
    weights = {
        "first": generator.normal(size=(CHANNELS, 1, 3, 3)),
        "first_depthwise": generator.normal(size=(CHANNELS, 1, 3, 3)),
        "project": generator.normal(size=(CHANNELS, CHANNELS, 1, 1)) / CHANNELS,
        "expand": generator.normal(size=(CHANNELS, CHANNELS, 1, 1)) * ranges,
        "second_depthwise": generator.normal(size=(CHANNELS, 1, 3, 3)) * ranges[::-1],
        "classify": generator.normal(size=(CLASSES, CHANNELS, 1, 1)),
    }
    limits = ["low", "high"] if activation == "Clip" else []
    nodes = [
        helper.make_node("Cast", [INPUT], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["pixels", "white"], ["image_in_float"]),
    ]
    value = "image_in_float"
    for name in weights:
        groups = CHANNELS if name.endswith("depthwise") else 1
        output = "cam" if name == "classify" else f"{name}_output"
        nodes.append(helper.make_node("Conv", [value, name], [output], name=name, group=groups))
        value = output
        if name not in ("project", "classify"):
            value = f"{name}_active"
            nodes.append(helper.make_node(activation, [output, *limits], [value], name=value))
    nodes.append(helper.make_node("ReduceMean", ["cam", "axes"], ["logits"], keepdims=0))
    constants = {"white": np.float32(255), "low": np.float32(0), "high": np.float32(6)}
    tensors = {name: np.asarray(array, np.float32) for name, array in {**weights, **constants}.items()}
    tensors["axes"] = np.array([2, 3])
    grid = SIDE - 2 * 3  # three convolutions of 3x3 without padding
    graph = helper.make_graph(
        nodes,
        "depthwise",
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["b", 1, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", CLASSES]),
            helper.make_tensor_value_info("cam", TensorProto.FLOAT, ["b", CLASSES, grid, grid]),
        ],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {f"{PREFIX}pixels": '"uint8"', f"{PREFIX}size": f"[{SIDE}, {SIDE}]"})
    return model.SerializeToString()


def images(count: int, seed: int) -> np.ndarray:
    """Coarse patterns of 4x4 squares, with noise."""
    generator = np.random.default_rng(seed)
    squares = generator.integers(0, 224, (count, 1, 4, 4)).repeat(SIDE // 4, 2).repeat(SIDE // 4, 3)
    return (squares + generator.integers(0, 32, (count, 1, SIDE, SIDE))).astype(np.uint8)


@pytest.mark.parametrize("activation", ["Relu", "Clip"])
@pytest.mark.parametrize("engine", ONNX_ENGINES)
def test_a_depthwise_network_with_unequal_channels_keeps_its_decisions(engine, activation):
    content = depthwise_network(activation)
    small = quantise(content, (images(8, seed) for seed in range(8)))
    before, after = (ONNX_ENGINES[engine](OnnxFile(each))(images(200, 99)).logits for each in (content, small))
    balance = before.mean(0)  # every class is decided about equally often
    changed = (before - balance).argmax(1) != (after - balance).argmax(1)
    assert changed.mean() <= 0.05  # 0.49 and 0.78 if levels are spent on what the activations cut off
    assert [read_metadata(each)["precision"] for each in (small, content)] == ["int8", "32"]


def test_a_first_block_with_a_depthwise_convolution_stays_in_float32():
    small = onnx.load_model_from_string(quantise(depthwise_network("Clip"), [images(8, 0)]))
    in_float = {tensor.name for tensor in small.graph.initializer if tensor.data_type == TensorProto.FLOAT}
    convolutions = [node for node in small.graph.node if node.op_type == "Conv"]
    assert [node.name for node in convolutions if node.input[1] in in_float] == ["first", "first_depthwise", "project"]
    assert len(convolutions) == 6
