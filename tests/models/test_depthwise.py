"""Depthwise convolutions by other kernels: the plain one's values and gradients."""

from __future__ import annotations

import copy
import pickle
from itertools import product

import jaxtyping
import pytest
import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import nn

from ggcam.models.backbones import create_backbone
from ggcam.models.depthwise import DepthwiseConv2d, DepthwiseConv2dSame, quicken_depthwise

GEOMETRIES = [
    {"stride": stride, "dilation": dilation, "padding": padding, "kernel_size": kernel}
    for stride, dilation, (kernel, padding) in product((1, 2), (1, 2, 3), ((3, 1), (3, 2), (3, 3), (5, 4), (2, 1)))
]


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_values_and_gradients_are_those_of_the_plain_convolution(geometry):
    plain = nn.Conv2d(6, 12, groups=6, **geometry)
    ours = copy.deepcopy(plain)
    quicken_depthwise(ours)
    assert type(ours) is DepthwiseConv2d
    found, wanted = (_through(layer, torch.float32) for layer in (ours, plain))
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("options", [{"stride": 2}, {"dilation": 2, "padding": 2}, {}], ids=str)
@pytest.mark.parametrize("kind", [nn.Conv2d, Conv2dSame])
def test_under_autocast_they_differ_by_rounding(kind, options, dtype):
    plain = kind(6, 6, 3, groups=6, **options)
    ours = copy.deepcopy(plain)
    quicken_depthwise(ours)
    assert type(ours) is {nn.Conv2d: DepthwiseConv2d, Conv2dSame: DepthwiseConv2dSame}[kind]
    with torch.autocast("cpu", torch.bfloat16):
        found, wanted = (_through(layer, dtype) for layer in (ours, plain))
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype
        torch.testing.assert_close(a.float(), b.float(), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("options", [{"stride": 2}, {"dilation": 2, "padding": 2}], ids=str)
def test_they_are_compiled_traced_exported_and_pickled_like_any_module(options, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # checks of shapes cannot be compiled
    plain = nn.Conv2d(6, 6, 3, groups=6, **options)
    ours = copy.deepcopy(plain)
    quicken_depthwise(ours)
    image = torch.rand(2, 6, 11, 9)
    compile_network = torch.compile(ours, backend="eager", fullgraph=True)
    torch.testing.assert_close(compile_network(image), plain(image))
    ours.eval()
    traced, exported = torch.jit.trace(ours, image), torch.export.export(ours, (image,)).module()
    for each in (traced, exported, pickle.loads(pickle.dumps(ours))):
        torch.testing.assert_close(each(image), plain(image))
    plain.load_state_dict(ours.state_dict())


def _through(layer: nn.Conv2d, dtype: torch.dtype) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, 6, 11, 9, generator=generator).to(dtype).requires_grad_()
    output = layer(image)
    gradients = torch.autograd.grad(output.float().square().mean(), [image, *layer.parameters()])
    return [output.detach(), *gradients]


def test_the_grid_of_a_dilated_network_stays_channels_last():
    layer = DepthwiseConv2d(6, 6, 3, padding=2, dilation=2, groups=6)
    output = layer(torch.rand(2, 6, 8, 6).contiguous(memory_format=torch.channels_last))
    assert output.is_contiguous(memory_format=torch.channels_last)


def test_a_network_of_timms_has_them_under_the_same_names():
    backbone = create_backbone("tf_mobilenetv3_small_minimal_100", (64, 64))
    kinds = {type(module) for module in backbone.modules() if isinstance(module, nn.Conv2d) and module.groups > 1}
    assert kinds == {DepthwiseConv2d, DepthwiseConv2dSame}
    assert "trunk.blocks.0.0.conv_dw.weight" in backbone.state_dict()
    copied = copy.deepcopy(backbone)
    assert copied.trunk.blocks[0][0].conv_dw is not backbone.trunk.blocks[0][0].conv_dw
