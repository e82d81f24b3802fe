"""The original's networks: the values recorded from them, their sizes, and their pieces written out slowly."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch.nn import functional

from ggcam.models import original
from ggcam.models.cam import CAMClassifier
from ggcam.models.original_nets import (
    EFFNET_STAGES,
    RESNET_BLOCKS,
    GreyConv2d,
    OriginalEffNet,
    OriginalResNet,
    _Bottleneck,
    _FusedMBConv,
    _MBConv,
    _multiple_of_8,
)
from original_weights import drawn_state

NETWORKS = ["resnet_18", "resnet_50", "effnet_S", "effnet_M"]


class Recording(NamedTuple):
    name: str
    state: dict[str, torch.Tensor]
    model: CAMClassifier
    values: dict[str, torch.Tensor]


@pytest.fixture(scope="module", params=NETWORKS)
def recording(golden, request: pytest.FixtureRequest) -> Recording:
    state = drawn_state(golden, request.param)
    values = {key: torch.tensor(value) for key, value in np.load(golden / f"net_{request.param}.npz").items()}
    return Recording(request.param, state, original.recognise(state)[1], values)


def through(model: CAMClassifier, image: torch.Tensor):
    """As the original: the image is not divided by its maximum once more."""
    with torch.no_grad():
        return model.head(model.backbone(image))


def relative(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).abs().max() / wanted.abs().max())


def test_names_shapes_and_order_are_the_originals(recording):
    family, type = recording.name.split("_")
    network, _ = original.recognise(recording.state)
    assert (network.family.word, network.type) == (family, type)
    ours = original.state_of(recording.model, original.scalars_of(recording.state))
    assert list(ours) == list(recording.state)
    assert all(torch.equal(ours[key], value) for key, value in recording.state.items())


def test_in_evaluation_mode_the_recorded_values_come_out(recording):
    model, values = recording.model.eval(), recording.values
    grey = through(model, values["x"][:, :1])
    if recording.name != "effnet_M":
        output = through(model, values["x"])
        assert relative(grey.cam, values["cam"]) < 1e-4
    else:
        # With these weights M amplifies rounding a billionfold: one channel and three equal ones differ by half, so
        # that what was recorded comes out in the recording machine's arithmetic alone.
        assert relative(grey.cam, values["cam"]) > 0.1
        output = on_two_threads(model, values["x"])
        if relative(output.cam, values["cam"]) > 0.1:
            pytest.skip("this machine rounds otherwise than the one that recorded; S, and M in training, stand in")
    assert relative(output.cam, values["cam"]) < 1e-4
    assert relative(output.logits, values["logits"]) < 1e-4


def on_two_threads(model: CAMClassifier, image: torch.Tensor):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        return through(model, image)
    finally:
        torch.set_num_threads(before)


def test_in_training_mode_the_recorded_values_come_out(recording):
    model = copy.deepcopy(recording.model).train()  # it moves its running statistics
    output = through(model, recording.values["x"])
    assert relative(output.cam, recording.values["train_cam"]) < 1e-4


@pytest.mark.parametrize(("backbone", "parameters"), [("resnet-50", 23_540_742), ("effnet-s", 22_336_518)])
def test_parameter_counts_are_the_published_ones(backbone, parameters):
    with torch.device("meta"):
        model = original.create_classifier(original.NETWORKS[f"original-{backbone}"])
    assert sum(p.numel() for p in model.parameters()) + len(original.SCALARS) == parameters


@pytest.mark.parametrize("backbone", list(original.NETWORKS))
def test_every_type_has_its_blocks_and_a_stride_of_32(backbone):
    network = original.NETWORKS[backbone]
    with torch.device("meta"):
        net = network.family.create(network.type)
        features = net(torch.empty(2, 1, 96, 64))
    assert features.shape == (2, net.num_features, 3, 2)
    if isinstance(net, OriginalResNet):
        assert len(net.layer) == 3 + sum(RESNET_BLOCKS[network.type])
    else:
        assert isinstance(net, OriginalEffNet)
        assert len(net.features) == 3 + sum(stage.repeats for stage in EFFNET_STAGES[network.type])


def test_one_channel_counts_as_three_equal_ones_and_all_three_learn():
    stem = GreyConv2d(3, 4, 3, stride=2, padding=1)
    image = torch.rand(2, 1, 9, 8)
    one, three = stem(image), stem(image.expand(-1, 3, -1, -1))
    torch.testing.assert_close(one, three)
    found = torch.autograd.grad(one.square().sum(), stem.weight)[0]
    wanted = torch.autograd.grad(three.square().sum(), stem.weight)[0]
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def normed(x: torch.Tensor, norm) -> torch.Tensor:
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return x * scale[:, None, None] + (norm.bias - norm.running_mean * scale)[:, None, None]


def shaken(block: torch.nn.Module) -> torch.nn.Module:
    """In evaluation mode, with statistics that are not 0 and 1."""
    generator = torch.Generator().manual_seed(0)
    for name, value in block.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) + (0.5 if name.endswith("var") else 0.0))
    return block.eval()


@pytest.mark.parametrize("stride", [1, 2])
def test_a_bottleneck_is_what_it_says(stride):
    block, x = shaken(_Bottleneck(8, 2, 8, stride)), torch.rand(2, 8, 6, 6)
    left, right = block.left_branch, block.right_branch
    kept = x[:, :, ::stride, ::stride]  # a 1x1 that strides sees nothing else
    y = functional.relu(normed(functional.conv2d(kept, left[0].weight, left[0].bias), left[1]))
    y = functional.relu(normed(functional.conv2d(y, left[3].weight, left[3].bias, padding=1), left[4]))
    y = normed(functional.conv2d(y, left[6].weight, left[6].bias), left[7])
    shortcut = x
    if stride == 2:
        shortcut = normed(functional.conv2d(kept, right.conv2d.weight, right.conv2d.bias), right.BN)
    torch.testing.assert_close(block(x.clone()), functional.relu(y + shortcut))


@pytest.mark.parametrize(("out", "stride", "shortcut"), [(8, 1, True), (8, 2, False), (6, 1, False)])
def test_inverted_residuals_are_what_they_say(out, stride, shortcut):
    x = torch.rand(2, 8, 6, 6)
    block = shaken(_FusedMBConv(8, 4, out, stride))
    c = block.conv
    y = functional.silu(normed(functional.conv2d(x, c[0].weight, stride=stride, padding=1), c[1]))
    y = normed(functional.conv2d(y, c[3].weight), c[4])
    torch.testing.assert_close(block(x.clone()), x + y if shortcut else y)

    block = shaken(_MBConv(8, 4, out, stride))
    c = block.conv
    y = functional.silu(normed(functional.conv2d(x, c[0].weight), c[1]))
    y = functional.silu(normed(functional.conv2d(y, c[3].weight, stride=stride, padding=1, groups=32), c[4]))
    means = torch.stack([y[:, k].flatten(1).mean(1) for k in range(32)], 1)
    assert c[6].fc[0].out_features == 8
    hidden = functional.silu(means @ c[6].fc[0].weight.T + c[6].fc[0].bias)
    y = y * torch.sigmoid(hidden @ c[6].fc[2].weight.T + c[6].fc[2].bias)[:, :, None, None]
    y = normed(functional.conv2d(y, c[7].weight), c[8])
    torch.testing.assert_close(block(x.clone()), x + y if shortcut else y)


def test_squeezed_channels_are_a_multiple_of_8_and_never_much_less():
    assert [_multiple_of_8(channels / 4) for channels in (8, 48, 64, 96, 128, 160, 176, 640)] == [
        *(8, 16, 16, 24, 32, 40, 48, 160),
    ]
