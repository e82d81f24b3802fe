"""A classifier as an ONNX file: the same answers from every engine, notes that suffice, and refusals."""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from ggcam.errors import ConfigError, WeightsError
from ggcam.inference.engines import ONNX_ENGINES, Engine, OnnxRuntimeEngine, OpenVinoEngine
from ggcam.inference.int8 import quantise
from ggcam.inference.onnx import TOLERANCE, OnnxFile, check_packages, read_metadata
from ggcam.inference.onnx_conversion import check_parity, to_onnx
from ggcam.inference.torch_engine import TorchEngine
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier
from ggcam.models.feature_distance import FeatureDistance
from ggcam.models.original import create_classifier, network_from_params

FRAME = (64, 32)


def classifier(backbone: str) -> CAMClassifier:
    """With batch norms whose running metrics matter, and a head large enough that a mistake would show."""
    torch.manual_seed(0)
    model = CAMClassifier(create_backbone(backbone, FRAME), 3)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d) and layer.running_mean is not None:
            torch.nn.init.normal_(layer.running_mean, std=0.1)
    torch.nn.init.normal_(model.head.weight)
    return model.eval()


@pytest.fixture(scope="module")
def model() -> CAMClassifier:
    return classifier("test_resnet")


@pytest.fixture(scope="module")
def content(model) -> bytes:
    return to_onnx(model, FRAME, {"class_names": ["a", "b", "ç"]})


@pytest.fixture(scope="module")
def with_distance(model) -> bytes:
    return to_onnx(model, FRAME, {}, distance=feature_distance(model.backbone.num_features))


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 1, *FRAME), np.uint8)


def feature_distance(channels: int) -> FeatureDistance:
    generator = torch.Generator().manual_seed(0)
    whitening = torch.eye(channels) + 0.1 * torch.randn(channels, channels, generator=generator)
    return FeatureDistance(torch.rand(channels, generator=generator), whitening)


def assert_equal(
    engine: Engine, model: CAMClassifier, image: np.ndarray, distance: FeatureDistance | None = None
) -> None:
    expected, found = TorchEngine(model, torch.device("cpu"), distance)(image), engine(image)
    assert (expected.distance is None) == (found.distance is None) == (distance is None)
    for ours, theirs in zip(expected, found, strict=True):
        if ours is None or theirs is None:
            continue
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype == np.float32
        assert np.abs(ours).max() > 0.01
        np.testing.assert_allclose(theirs, ours, atol=TOLERANCE * max(1.0, float(np.abs(ours).max())))


@pytest.mark.parametrize("name", ONNX_ENGINES)
def test_every_engine_answers_as_torch_does_whatever_the_size_of_the_batch(model, content, name):
    engine = ONNX_ENGINES[name](OnnxFile(content))
    for count in (1, 5, 2):
        assert_equal(engine, model, images(count, count))


@pytest.mark.parametrize("name", ONNX_ENGINES)
def test_the_distance_of_the_features_is_a_third_output(model, with_distance, name):
    engine = ONNX_ENGINES[name](OnnxFile(with_distance))
    for count in (1, 4):
        assert_equal(engine, model, images(count, count), feature_distance(model.backbone.num_features))
    graph = onnx.load_model_from_string(with_distance).graph
    assert [value.name for value in graph.output] == ["logits", "cam", "distance"]


def test_integers_measure_nearly_the_same_distance(model, with_distance):
    small = quantise(with_distance, (images(2, seed) for seed in range(4)))
    exact = TorchEngine(model, torch.device("cpu"), feature_distance(model.backbone.num_features))(images(4, 9))
    found = OnnxRuntimeEngine(OnnxFile(small))(images(4, 9))
    assert exact.distance is not None
    assert found.distance is not None
    np.testing.assert_allclose(found.distance, exact.distance, rtol=0.1)


def test_an_answer_is_not_overwritten_by_the_next_one(with_distance):
    engine = OpenVinoEngine(OnnxFile(with_distance))
    first = engine(images(2))
    kept = [part.copy() for part in first if part is not None]
    assert len(kept) == 3
    engine(images(2, 1))
    for now, before in zip(first, kept, strict=True):
        np.testing.assert_array_equal(now, before)


@pytest.mark.parametrize("name", ONNX_ENGINES)
def test_numbers_do_not_depend_on_the_batch_size_and_the_threads(name, content, monkeypatch):
    batch = images(5)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    one_thread = ONNX_ENGINES[name](OnnxFile(content))
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    expected = ONNX_ENGINES[name](OnnxFile(content))(batch)
    for parts in ([batch], [batch[:3], batch[3:]], np.split(batch, 5)):
        found = [one_thread(part) for part in parts]
        np.testing.assert_allclose(np.concatenate([each.logits for each in found]), expected.logits, atol=1e-6)
        np.testing.assert_allclose(np.concatenate([each.cam for each in found]), expected.cam, atol=1e-6)


@pytest.mark.parametrize(("backbone", "pixels"), [("test_efficientnet", "uint16"), ("test_vit", "uint8")])
def test_other_kinds_of_networks_are_written_too_and_16_bits_have_their_own_white(backbone, pixels):
    model = classifier(backbone)
    content = to_onnx(model, FRAME, {}, pixels)
    for kind in ONNX_ENGINES.values():
        assert_equal(kind(OnnxFile(content)), model, images(3))


def test_an_original_network_sees_the_white_of_each_image():
    network = network_from_params("ResCAMNet", "18")
    assert network is not None
    model = create_classifier(network).eval()
    torch.nn.init.normal_(model.head.weight, std=3000.0)
    dark = images(2) // 3
    dark[1] = 0  # whose white is 0 as well
    assert_equal(OpenVinoEngine(OnnxFile(to_onnx(model, FRAME, {}))), model, dark)


def test_the_notes_say_what_was_noted_and_what_the_file_takes(content):
    notes = read_metadata(content)
    taken = {"pixels": "uint8", "size": list(FRAME), "channels": 1, "precision": "32"}
    assert notes == {"class_names": ["a", "b", "ç"], **taken}
    graph = onnx.load_model_from_string(content).graph
    assert [value.name for value in (*graph.input, *graph.output)] == ["image", "logits", "cam"]
    batch, *rest = graph.input[0].type.tensor_type.shape.dim
    assert batch.dim_param
    assert [dimension.dim_value for dimension in rest] == [1, *FRAME]


def test_a_file_tells_nothing_about_the_machine_it_was_made_on(content):
    for word in (str(Path(torch.__file__).parents[1]), str(Path(__file__).parents[2]), 'File "', "stack_trace"):
        assert word.encode() not in content, word


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("pixels", '"uint7"', r"invalid value for key pixels\n(.|\n)*one of 'uint8', 'uint16'"),
        ("channels", "2", r"invalid value for key channels\n(.|\n)*one of 1, 3"),
        ("size", "64", r"invalid value for key size\n(.|\n)*a list"),
        ("class_names", "[1, 2, 3]", "invalid value for key class_names.0"),
        ("class_names", "[" * 100_000, "nested brackets"),
        ("class_names", '["a"', "valid JSON"),
    ],
)
def test_a_note_of_another_form_is_refused_with_its_key(content, key, value, message):
    proto = onnx.load_model_from_string(content)
    next(prop for prop in proto.metadata_props if prop.key == f"ggcam.{key}").value = value
    with pytest.raises(WeightsError, match=message):
        read_metadata(proto.SerializeToString())


def test_a_file_that_answers_otherwise_is_refused(model, content):
    other = classifier("test_resnet")
    with torch.no_grad():
        other.head.weight[0, 0] += 0.01
    example = torch.from_numpy(images(2))
    check_parity(content, model, example)
    with pytest.raises(
        ConfigError, match=r"torch differ in the logits of this network(?s:.*)a difference of at most 0\.0001"
    ):
        check_parity(content, other, example)


def test_a_network_that_onnx_lacks_is_refused_with_its_reason():
    class Odd(torch.nn.Module):
        num_features = 1

        def forward(self, image):
            return image if image.sum().item() > 0 else -image  # depends on the values

    with pytest.raises(ConfigError, match=r"cannot be written as ONNX(?s:.*)--engine torch"):
        to_onnx(CAMClassifier(Odd(), 2), FRAME, {})


def test_files_of_others_are_told_from_ours():
    with pytest.raises(WeightsError, match="not an ONNX file, or a damaged one"):
        read_metadata(b"\x80no protobuf")
    with pytest.raises(WeightsError, match="no metadata of ggcam"):
        read_metadata(onnx.ModelProto(ir_version=10).SerializeToString())


def damaged(content: bytes, change) -> bytes:
    model = onnx.load_model_from_string(content)
    change(model)
    return model.SerializeToString()


def use_another_file(model: onnx.ModelProto) -> None:
    tensor = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    onnx.external_data_helper.set_external_data(tensor, location="weights.bin", offset=0)
    tensor.ClearField("raw_data")


def use_another_file_in_an_attribute(model: onnx.ModelProto) -> None:
    tensor = onnx.TensorProto(data_type=onnx.TensorProto.FLOAT, dims=[1], raw_data=bytes(4))
    onnx.external_data_helper.set_external_data(tensor, location="/etc/passwd")
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("value", tensor))


@pytest.mark.parametrize("change", [use_another_file, use_another_file_in_an_attribute])
@pytest.mark.parametrize("name", ONNX_ENGINES)
def test_weights_in_another_file_are_refused_before_an_engine_reads_them(content, tmp_path, monkeypatch, name, change):
    monkeypatch.chdir(tmp_path)  # where ONNX Runtime would look for it
    (tmp_path / "weights.bin").write_bytes(bytes(1_000_000))
    with pytest.raises(WeightsError, match=r"reads its weights from another file(.|\n)*location="):
        ONNX_ENGINES[name](OnnxFile(damaged(content, change)))


def remove_a_node(model: onnx.ModelProto) -> None:
    del model.graph.node[1]


def use_an_unknown_operation(model: onnx.ModelProto) -> None:
    model.graph.node[1].op_type = "Nonsense"


def shorten_a_tensor(model: onnx.ModelProto) -> None:
    tensor = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    tensor.raw_data = tensor.raw_data[:-4]


def name_other_outputs(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "x"


def name_other_classes(model: onnx.ModelProto) -> None:
    (entry,) = (entry for entry in model.metadata_props if entry.key == "ggcam.class_names")
    entry.value = '["a", "b"]'


@pytest.mark.parametrize(
    "change", [remove_a_node, use_an_unknown_operation, shorten_a_tensor, name_other_outputs, name_other_classes]
)
@pytest.mark.parametrize("name", ONNX_ENGINES)
def test_a_damaged_graph_is_refused_in_words(content, name, change):
    message = r"the ONNX file is damaged, or|the outputs of the ONNX file do not fit"
    with pytest.raises(WeightsError, match=message):
        ONNX_ENGINES[name](OnnxFile(damaged(content, change)))(images(1))


def test_a_missing_package_is_named_with_what_installs_it(content, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "openvino" else real(name))
    check_packages("onnx", where="--engine")
    with pytest.raises(ConfigError, match=r"openvino is not installed(?s:.*)pip install 'ggcam\[onnx\]'"):
        OpenVinoEngine(OnnxFile(content))


def test_only_bytes_are_taken(content):
    with pytest.raises(TypeError, match="uint8, got float32"):
        OnnxRuntimeEngine(OnnxFile(content))(images(1).astype(np.float32))


def test_integers_answer_nearly_the_same_and_the_notes_stay(model, content):
    small = quantise(content, (images(2, seed) for seed in range(4)))
    assert len(small) < 0.6 * len(content)
    assert read_metadata(small) == {**read_metadata(content), "precision": "int8"}
    operations = {node.op_type for node in onnx.load_model_from_string(small).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= operations
    exact = TorchEngine(model, torch.device("cpu"))(images(4, 9))
    for kind in ONNX_ENGINES.values():
        found = kind(OnnxFile(small))(images(4, 9))
        change = np.abs(found.cam - exact.cam).max()
        assert 0 < change < 0.1 * np.abs(exact.cam).max()


class SignalStack(ctypes.Structure):
    """`stack_t` of Linux: the memory on which this thread's signal handlers run."""

    _fields_ = [("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]

    @classmethod
    def of_this_thread(cls) -> int | None:
        stack = cls()
        assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack)) == 0
        return stack.address


@pytest.mark.skipif(sys.platform != "linux", reason="reads the signal stack as Linux gives it")
def test_every_engine_leaves_the_signal_stack_as_it_is(content):
    """On CPUs with AMX, each of OpenVINO's cores brings one; a signal on that of a deleted core ends the process."""
    first = OpenVinoEngine(OnnxFile(content))
    before = SignalStack.of_this_thread()
    second = OpenVinoEngine(OnnxFile(content))
    assert SignalStack.of_this_thread() == before
    del first, second
    gc.collect()
    assert SignalStack.of_this_thread() == before
