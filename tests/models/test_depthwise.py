"""Fast dilated depthwise convolutions have the values and gradients of the plain ones."""

from __future__ import annotations

import copy
import pickle

import jaxtyping
import pytest
import torch
from torch import nn

from ggcam.models.backbones import create_backbone
from ggcam.models.depthwise import DilatedDepthwiseConv2d, speed_up_dilated_depthwise

FAST = [{"kernel_size": 3, "dilation": 2, "padding": 2}, {"kernel_size": 5, "dilation": 3, "padding": 6}]
PLAIN = [
    {"kernel_size": 3},
    {"kernel_size": 3, "stride": 2, "dilation": 2, "padding": 2},
    {"kernel_size": 3, "dilation": 2, "padding": 1},
    {"kernel_size": 2, "dilation": 2, "padding": 2},
    {"kernel_size": 3, "dilation": 2, "padding": 2, "padding_mode": "reflect"},
]


@pytest.mark.parametrize("geometry", PLAIN, ids=str)
def test_other_convolutions_are_left_alone(geometry):
    layer = nn.Conv2d(6, 12, groups=6, **geometry)
    dense = nn.Conv2d(6, 12, 3, dilation=2, padding=2)
    speed_up_dilated_depthwise(nn.ModuleList([layer, dense]))
    assert type(layer) is type(dense) is nn.Conv2d


@pytest.mark.parametrize("geometry", FAST, ids=str)
def test_values_and_gradients_equal_those_of_the_plain_convolution(geometry):
    plain = nn.Conv2d(6, 12, groups=6, **geometry)
    fast = copy.deepcopy(plain)
    speed_up_dilated_depthwise(fast)
    assert type(fast) is DilatedDepthwiseConv2d
    found, expected = (_values_and_gradients(layer, torch.float32) for layer in (fast, plain))
    for value, expected_value in zip(found, expected, strict=True):
        torch.testing.assert_close(value, expected_value)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
def test_under_autocast_values_and_gradients_differ_only_by_rounding(dtype):
    plain = nn.Conv2d(6, 6, 3, groups=6, dilation=2, padding=2)
    fast = copy.deepcopy(plain)
    speed_up_dilated_depthwise(fast)
    assert type(fast) is DilatedDepthwiseConv2d
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = (_values_and_gradients(layer, dtype) for layer in (fast, plain))
    for value, expected_value in zip(found, expected, strict=True):
        assert value.dtype == expected_value.dtype
        torch.testing.assert_close(value.float(), expected_value.float(), rtol=0.05, atol=0.05)


def test_fast_convolutions_can_be_compiled_traced_exported_and_pickled(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # shape checks cannot be compiled
    plain = nn.Conv2d(6, 6, 3, groups=6, dilation=2, padding=2)
    fast = copy.deepcopy(plain)
    speed_up_dilated_depthwise(fast)
    image = torch.rand(2, 6, 11, 9)
    compiled = torch.compile(fast, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(image), plain(image))
    fast.eval()
    traced, exported = torch.jit.trace(fast, image), torch.export.export(fast, (image,)).module()
    for each in (traced, exported, pickle.loads(pickle.dumps(fast))):
        torch.testing.assert_close(each(image), plain(image))
    plain.load_state_dict(fast.state_dict())


def _values_and_gradients(layer: nn.Conv2d, dtype: torch.dtype) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, 6, 11, 9, generator=generator).to(dtype).requires_grad_()
    output = layer(image)
    gradients = torch.autograd.grad(output.float().square().mean(), [image, *layer.parameters()])
    return [output.detach(), *gradients]


def test_output_of_a_dilated_convolution_stays_channels_last():
    layer = DilatedDepthwiseConv2d(6, 6, 3, padding=2, dilation=2, groups=6)
    output = layer(torch.rand(2, 6, 8, 6).contiguous(memory_format=torch.channels_last))
    assert output.is_contiguous(memory_format=torch.channels_last)


def test_timm_networks_with_an_output_stride_use_fast_convolutions_under_the_same_names():
    backbone = create_backbone("tf_efficientnet_lite0", (64, 64), output_stride=16)
    dilated = [module for module in backbone.modules() if isinstance(module, nn.Conv2d) and max(module.dilation) > 1]
    assert dilated
    assert {type(module) for module in dilated} == {DilatedDepthwiseConv2d}
    assert "trunk.blocks.0.0.conv_dw.weight" in backbone.state_dict()
    copied = copy.deepcopy(backbone)
    assert copied.trunk.blocks[0][0].conv_dw is not backbone.trunk.blocks[0][0].conv_dw
