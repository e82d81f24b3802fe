"""The two networks of the original GG-CAM as feature extractors, with the original's names for every parameter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ggcam.models.depthwise import DepthwiseConv2d


class OriginalBackbone(nn.Module, ABC):
    """An original network without its CAM layer: images (b, 1 or 3, H, W) -> features (b, c, H/32, W/32).

    Fresh weights are drawn by torch's rules for each layer; which rules the original followed is not known.

    Attributes:
        num_features: c.
        stride: H / h, in pixels.
    """

    num_features: int
    stride = 32
    _checkpointing = False

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Keep only what passes from block to block, and compute the rest again on the way back; as timm's networks."""
        self._checkpointing = enable

    def _through(self, layers: nn.Sequential, x: Float[Tensor, "b c H W"]) -> Float[Tensor, "b d h w"]:
        if not (self._checkpointing and torch.is_grad_enabled()):
            return layers(x)
        for layer in layers:
            # A layer of the stem may work in place, so that what went into it is gone afterwards.
            x = checkpoint(layer, x, use_reentrant=False) if isinstance(layer, _Block) else layer(x)
        return x

    @abstractmethod
    def forward(self, image: Float[Tensor, "b i H W"]) -> Float[Tensor, "b c h w"]:
        """Images -> features."""


class GreyConv2d(nn.Conv2d):
    """A first layer for three channels that are equal, as the original's are: it takes one of them alone as well.

    For one channel the weights are summed over the three, which is the same function, in a third of the work. What is
    learned and stored keeps its three channels.
    """

    def forward(self, input: Float[Tensor, "b i H W"]) -> Float[Tensor, "b c h w"]:
        """One channel, or three."""
        weight = self.weight.sum(dim=1, keepdim=True) if input.shape[1] == 1 else self.weight
        return self._conv_forward(input, weight, self.bias)


RESNET_BLOCKS: Mapping[str, tuple[int, ...]] = {
    "18": (2, 2, 2, 2),
    "34": (3, 4, 6, 3),
    "50": (3, 4, 6, 3),
    "101": (3, 4, 23, 3),
    "152": (3, 8, 36, 3),
}
"""Type -> blocks in each stage. All are bottlenecks, so that '34' and '50' are one network."""


class OriginalResNet(OriginalBackbone):
    """The original's ResNet: no max-pooling behind the stem, and every stage halves its grid instead.

    Args:
        type: a key of :data:`RESNET_BLOCKS`.
    """

    num_features = 2048

    def __init__(self, type: str):
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            input_conv2d=GreyConv2d(3, 64, 7, stride=2, padding=3),
            input_BN=nn.BatchNorm2d(64),
            input_ReLU=nn.ReLU(inplace=True),
        )
        channels, mid = 64, 64
        for stage, blocks in enumerate(RESNET_BLOCKS[type]):
            out = 256 << stage
            for block in range(blocks):
                name = f"ResBlock_{stage:02}_ResLayer{block:02}"
                layers[name] = _Bottleneck(channels, mid, out, stride=2 if block == 0 else 1)
                channels = out
            mid = out // 2
        self.layer = nn.Sequential(layers)

    def forward(self, image: Float[Tensor, "b i H W"]) -> Float[Tensor, "b c h w"]:
        """Images -> features."""
        return self._through(self.layer, image)


class _Block(nn.Module):
    """What a network repeats."""


class _Bottleneck(_Block):
    """1x1 (which strides), 3x3, 1x1, and a shortcut that is projected in the first block of a stage."""

    def __init__(self, channels: int, mid: int, out: int, stride: int):
        super().__init__()
        branch: OrderedDict[str, nn.Module] = OrderedDict()
        for name, layer in (
            ("1st", nn.Conv2d(channels, mid, 1, stride=stride)),
            ("2nd", nn.Conv2d(mid, mid, 3, padding=1)),
            ("3rd", nn.Conv2d(mid, out, 1)),
        ):
            branch[f"{name}_conv2d"], branch[f"{name}_BN"] = layer, nn.BatchNorm2d(layer.out_channels)
            if name != "3rd":
                branch[f"{name}_ReLU"] = nn.ReLU(inplace=True)
        self.left_branch = nn.Sequential(branch)
        self.right_branch = nn.Sequential()  # nothing but the shortcut itself, and no name in the weights
        if stride != 1:
            self.right_branch.add_module("conv2d", nn.Conv2d(channels, out, 1, stride=stride))
            self.right_branch.add_module("BN", nn.BatchNorm2d(out))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Float[Tensor, "b c H W"]) -> Float[Tensor, "b d h w"]:
        return self.relu(self.left_branch(x) + self.right_branch(x))


class Stage(NamedTuple):
    """Blocks of one kind in a row, of which the first one strides.

    Attributes:
        expand: channels inside a block, in multiples of its input's.
        channels: of the output.
        repeats: how many blocks.
        stride: of the first one.
        squeeze: whether they have squeeze-and-excitation, and a depthwise convolution; otherwise they are fused.
    """

    expand: int
    channels: int
    repeats: int
    stride: int
    squeeze: int


EFFNET_STAGES: Mapping[str, tuple[Stage, ...]] = {
    type: tuple(Stage(*stage) for stage in stages)
    for type, stages in {
        "S": (
            (1, 24, 2, 1, 0), (4, 48, 4, 2, 0), (4, 64, 4, 2, 0), (4, 128, 6, 2, 1), (6, 160, 9, 1, 1),
            (6, 272, 15, 2, 1),
        ),
        "M": (
            (1, 24, 3, 1, 0), (4, 48, 5, 2, 0), (4, 80, 5, 2, 0), (4, 160, 7, 2, 1), (6, 176, 14, 1, 1),
            (6, 304, 18, 2, 1), (6, 512, 5, 1, 1),
        ),
        "L": (
            (1, 32, 4, 1, 0), (4, 64, 7, 2, 0), (4, 96, 7, 2, 0), (4, 192, 10, 2, 1), (6, 224, 19, 1, 1),
            (6, 384, 25, 2, 1), (6, 640, 7, 1, 1),
        ),
        "XL": (
            (1, 32, 4, 1, 0), (4, 64, 8, 2, 0), (4, 96, 8, 2, 0), (4, 192, 16, 2, 1), (6, 256, 24, 1, 1),
            (6, 512, 32, 2, 1), (6, 640, 8, 1, 1),
        ),
    }.items()
}  # fmt: skip
"""Type -> stages (Tan, Le, "EfficientNetV2: Smaller Models and Faster Training", ICML 2021, with the original's S)."""


class OriginalEffNet(OriginalBackbone):
    """The original's EfficientNetV2.

    Args:
        type: a key of :data:`EFFNET_STAGES`.
    """

    num_features = 1792

    def __init__(self, type: str):
        super().__init__()
        channels = 24
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        stem = (GreyConv2d(3, channels, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(channels), _silu())
        layers.update({str(i): layer for i, layer in enumerate(stem)})
        for stage in EFFNET_STAGES[type]:
            for repeat in range(stage.repeats):
                block = _MBConv if stage.squeeze else _FusedMBConv
                stride = stage.stride if repeat == 0 else 1
                # The blocks are counted with three digits, the stem's layers with one.
                layers[f"{len(layers) - len(stem):03}"] = block(channels, stage.expand, stage.channels, stride)
                channels = stage.channels
        self.features = nn.Sequential(layers)
        self.conv = nn.Sequential(*_conv(channels, self.num_features, 1), _silu())

    def forward(self, image: Float[Tensor, "b i H W"]) -> Float[Tensor, "b c h w"]:
        """Images -> features."""
        return self.conv(self._through(self.features, image))


class _InvertedResidual(_Block):
    """Layers, and a shortcut around them where these change neither grid nor channels."""

    def __init__(self, layers: list[nn.Module], shortcut: bool):
        super().__init__()
        self.conv = nn.Sequential(*layers)
        self.shortcut = shortcut

    def forward(self, x: Float[Tensor, "b c H W"]) -> Float[Tensor, "b d h w"]:
        return x + self.conv(x) if self.shortcut else self.conv(x)


class _FusedMBConv(_InvertedResidual):
    """3x3 that widens, 1x1 that narrows, the latter also where there is nothing to narrow."""

    def __init__(self, channels: int, expand: int, out: int, stride: int):
        wide = channels * expand
        layers = [*_conv(channels, wide, 3, stride), _silu(), *_conv(wide, out, 1)]
        super().__init__(layers, stride == 1 and channels == out)


class _MBConv(_InvertedResidual):
    """1x1 that widens, 3x3 channel by channel, squeeze-and-excitation, 1x1 that narrows."""

    def __init__(self, channels: int, expand: int, out: int, stride: int):
        wide = channels * expand
        layers = [
            *(*_conv(channels, wide, 1), _silu()),
            *(*_conv(wide, wide, 3, stride, groups=wide), _silu()),
            _SqueezeExcitation(wide, _multiple_of_8(channels / 4)),
            *_conv(wide, out, 1),
        ]
        super().__init__(layers, stride == 1 and channels == out)


class _SqueezeExcitation(nn.Module):
    """Each channel times a factor of 0 to 1 that follows from the means of all."""

    def __init__(self, channels: int, squeezed: int):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(channels, squeezed), _silu(), nn.Linear(squeezed, channels), nn.Sigmoid())

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return x * self.fc(x.mean(dim=(2, 3)))[:, :, None, None]


def _conv(channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    kind = nn.Conv2d if groups == 1 else DepthwiseConv2d
    convolution = kind(channels, out, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return convolution, nn.BatchNorm2d(out)


def _silu() -> nn.SiLU:
    return nn.SiLU()  # its gradient needs its input: in place, autograd would copy that first


def _multiple_of_8(channels: float) -> int:
    """The nearest multiple of 8, at least 8, but never below nine tenths of what was asked."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8
