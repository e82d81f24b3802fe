"""Networks whose head is not the plain one: built again from their description, and the same in an ONNX file."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from ggcam.data.case import Frame
from ggcam.inference.engines import OnnxRuntimeEngine
from ggcam.inference.onnx import TOLERANCE, OnnxFile
from ggcam.inference.onnx_conversion import to_onnx
from ggcam.inference.torch_engine import TorchEngine
from ggcam.models.heads import HEADS
from ggcam.training.model_spec import ModelSpec

FRAME = Frame(64, 32)


@pytest.mark.parametrize("head", [name for name in HEADS if name != "cam"])
def test_a_head_is_rebuilt_from_the_runs_description_and_answers_alike_as_onnx(head):
    pytest.importorskip("onnxruntime")
    spec = ModelSpec("test_resnet", ("a", "b", "c"), FRAME, output_stride=8, head=head)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = spec.build()
        torch.nn.init.normal_(model.head.weight)
        images = torch.randint(0, 256, (3, 1, 64, 32), dtype=torch.uint8)
        model(images)  # running statistics other than the initial ones
        again = ModelSpec.from_dict(json.loads(json.dumps(spec.to_dict()))).build()
    again.load_state_dict(model.state_dict())
    assert type(again.head) is HEADS[head]
    expected = TorchEngine(again.eval(), torch.device("cpu"))(images.numpy())
    torch.testing.assert_close(torch.from_numpy(expected.logits), model.eval()(images).logits)
    found = OnnxRuntimeEngine(OnnxFile(to_onnx(again, FRAME.shape, {"class_names": ["a", "b", "c"]})))(images.numpy())
    for ours, theirs in ((expected.logits, found.logits), (expected.cam, found.cam)):
        np.testing.assert_allclose(theirs, ours, atol=TOLERANCE * max(1.0, float(np.abs(ours).max())))
    assert np.abs(expected.cam).max() > 0.01
