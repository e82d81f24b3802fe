"""Images as floats."""

from __future__ import annotations

import pytest
import torch

from ggcam.guidance import create_guidance
from ggcam.guidance.pixels import as_floats
from guidance.examples import FRAME, batch, network_for


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float32])
def test_the_network_answers_the_same(dtype):
    model = network_for(create_guidance("none"))
    image = batch().image.to(dtype) if dtype != torch.float32 else torch.rand(2, 1, *FRAME)
    torch.testing.assert_close(model(as_floats(image)).logits, model(image).logits)


def test_the_copy_is_not_part_of_the_graph_of_its_origin():
    image = torch.rand(1, 1, 2, 2)
    found = as_floats(image).requires_grad_()
    found.sum().backward()
    assert image.grad is None
    assert found.data_ptr() != image.data_ptr()
