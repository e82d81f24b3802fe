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

from ggcam.models.grid import fit_to_grid


class OriginalBackbone(nn.Module, ABC):
    """An original network without its CAM layer, which maps images (b, 1 or 3, H, W) to features (b, c, H/32, W/32).

    Fresh weights follow torch's defaults for each layer; the original's initialisation is unknown.

    Attributes:
        num_features: number of channels c.
        stride: H / h, in pixels.
    """

    num_features: int
    stride = 32
    _checkpointing = False

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Store only the activations between blocks, and recompute the others in the backward pass, as in timm.

        Args:
            enable: whether to do so.
        """
        self._checkpointing = enable

    def _apply_layers(self, layers: nn.Sequential, x: Float[Tensor, "b c H W"]) -> Float[Tensor, "b d h w"]:
        if not (self._checkpointing and torch.is_grad_enabled()):
            return layers(x)
        for layer in layers:
            # Layers of the stem may work in place, which overwrites the input that recomputation would need.
            x = checkpoint(layer, x, use_reentrant=False) if isinstance(layer, _Block) else layer(x)
        return x

    @abstractmethod
    def forward(self, image: Float[Tensor, "b i H W"]) -> Float[Tensor, "b c h w"]:
        """Compute features from images, which are enlarged to a multiple of 32 pixels if they are not one.

        Args:
            image: (b, 1 or 3, H, W).

        Returns:
            Features of shape (b, c, H/32, W/32), rounded up.
        """


class GreyConv2d(nn.Conv2d):
    """A first layer for images of three equal channels, which also accepts a single one of them.

    For one channel, the weights are summed over the three input channels: the same function at a third of the cost.
    The parameters keep their three input channels.
    """

    def forward(self, input: Float[Tensor, "b i H W"]) -> Float[Tensor, "b c h w"]:
        """Convolve images of one or three channels."""
        weight = self.weight.sum(dim=1, keepdim=True) if input.shape[1] == 1 else self.weight
        return self._conv_forward(input, weight, self.bias)


RESNET_BLOCKS: Mapping[str, tuple[int, ...]] = {
    "18": (2, 2, 2, 2),
    "34": (3, 4, 6, 3),
    "50": (3, 4, 6, 3),
    "101": (3, 4, 23, 3),
    "152": (3, 8, 36, 3),
}
"""Number of blocks in each stage, by type. All blocks are bottlenecks, so '34' and '50' are the same network."""


class OriginalResNet(OriginalBackbone):
    """The original's ResNet: without max-pooling after the stem, and with a stride of 2 in every stage.

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
        """Compute features (b, c, H/32, W/32) from images (b, 1 or 3, H, W)."""
        return self._apply_layers(self.layer, fit_to_grid(image, self.stride))


class _Block(nn.Module):
    """A block of a network."""


class _Bottleneck(_Block):
    """Convolutions 1x1 (with the stride), 3x3 and 1x1; in the first block of a stage, the shortcut is projected."""

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
        self.right_branch = nn.Sequential()  # the identity, without parameters
        if stride != 1:
            self.right_branch.add_module("conv2d", nn.Conv2d(channels, out, 1, stride=stride))
            self.right_branch.add_module("BN", nn.BatchNorm2d(out))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Float[Tensor, "b c H W"]) -> Float[Tensor, "b d h w"]:
        return self.relu(self.left_branch(x) + self.right_branch(x))


class Stage(NamedTuple):
    """A sequence of equal blocks.

    Attributes:
        expand: number of channels inside a block, as a multiple of its input's.
        channels: number of output channels.
        repeats: number of blocks.
        stride: stride of the first block.
        squeeze: 1 for blocks with a depthwise convolution and squeeze-and-excitation, 0 for fused blocks.
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
"""Stages by type (Tan, Le, "EfficientNetV2: Smaller Models and Faster Training", ICML 2021, with the original's S)."""


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
                # Block numbers have three digits in the weight files, those of the stem's layers have one.
                layers[f"{len(layers) - len(stem):03}"] = block(channels, stage.expand, stage.channels, stride)
                channels = stage.channels
        self.features = nn.Sequential(layers)
        self.conv = nn.Sequential(*_conv(channels, self.num_features, 1), _silu())

    def forward(self, image: Float[Tensor, "b i H W"]) -> Float[Tensor, "b c h w"]:
        """Compute features (b, c, H/32, W/32) from images (b, 1 or 3, H, W)."""
        return self.conv(self._apply_layers(self.features, fit_to_grid(image, self.stride)))


class _InvertedResidual(_Block):
    """A sequence of layers, with a shortcut if they change neither the grid nor the number of channels."""

    def __init__(self, layers: list[nn.Module], shortcut: bool):
        super().__init__()
        self.conv = nn.Sequential(*layers)
        self.shortcut = shortcut

    def forward(self, x: Float[Tensor, "b c H W"]) -> Float[Tensor, "b d h w"]:
        return x + self.conv(x) if self.shortcut else self.conv(x)


class _FusedMBConv(_InvertedResidual):
    """A 3x3 convolution that expands and a 1x1 convolution that projects, the latter also at expansion 1."""

    def __init__(self, channels: int, expand: int, out: int, stride: int):
        expanded = channels * expand
        layers = [*_conv(channels, expanded, 3, stride), _silu(), *_conv(expanded, out, 1)]
        super().__init__(layers, stride == 1 and channels == out)


class _MBConv(_InvertedResidual):
    """A 1x1 convolution that expands, a depthwise 3x3 one, squeeze-and-excitation, and a 1x1 one that projects."""

    def __init__(self, channels: int, expand: int, out: int, stride: int):
        expanded = channels * expand
        layers = [
            *(*_conv(channels, expanded, 1), _silu()),
            *(*_conv(expanded, expanded, 3, stride, groups=expanded), _silu()),
            _SqueezeExcitation(expanded, _multiple_of_8(channels / 4)),
            *_conv(expanded, out, 1),
        ]
        super().__init__(layers, stride == 1 and channels == out)


class _SqueezeExcitation(nn.Module):
    """Squeeze-and-excitation: each channel is multiplied by a factor from 0 to 1, computed from all channels' means."""

    def __init__(self, channels: int, squeezed: int):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(channels, squeezed), _silu(), nn.Linear(squeezed, channels), nn.Sigmoid())

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return x * self.fc(x.mean(dim=(2, 3)))[:, :, None, None]


def _conv(channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    convolution = nn.Conv2d(channels, out, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return convolution, nn.BatchNorm2d(out)


def _silu() -> nn.SiLU:
    return nn.SiLU()  # not in place: the gradient needs the input, which autograd would copy first


def _multiple_of_8(channels: float) -> int:
    """Round to the nearest multiple of 8 that is at least 8 and not below 90 % of the given number."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8
