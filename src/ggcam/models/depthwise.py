"""Strided and dilated depthwise convolutions that train fast on a CPU: the same values, computed by other kernels."""

from __future__ import annotations

import torch
from jaxtyping import Float
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn
from torch.nn import functional


class _FastOnCPU(nn.Conv2d):
    """Avoids oneDNN's slow backward pass of strided and dilated depthwise convolutions.

    Forward and backward pass of 960 channels of 32x28, batch size 4: 6 ms with neither stride nor dilation; 57 ms with
    stride 2 in bfloat16, but 5 ms in float32; 144 ms with dilation 2 in bfloat16, 48 ms in float32.
    """

    def forward(self, input: Float[Tensor, "b c H W"]) -> Float[Tensor, "b d h w"]:
        """Compute the same values as the plain convolution."""
        # In evaluation mode always the plain kernel: tracers compare calls with and without gradients.
        if not (input.is_cpu and self.training and torch.is_grad_enabled()):
            return super().forward(input)
        if max(self.stride) > 1:
            dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else input.dtype
            with torch.autocast("cpu", enabled=False):
                return super().forward(input.to(self.weight.dtype)).to(dtype)
        if max(self.dilation) > 1 and self._preserves_size:
            return self._by_phases(input)
        return super().forward(input)

    @property
    def _preserves_size(self) -> bool:
        same_padding = tuple(step * (side // 2) for step, side in zip(self.dilation, self.kernel_size, strict=True))
        return (
            self.padding == same_padding and self.padding_mode == "zeros" and all(side % 2 for side in self.kernel_size)
        )

    def _by_phases(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        """Convolve each of the d x d grids of every d-th cell without dilation, which equals a dilation of d."""
        (step_y, step_x), (height, width) = self.dilation, input.shape[2:]
        # Channels last, which is faster here and in the layers that follow.
        cells = functional.pad(input, (0, -width % step_x, 0, -height % step_y)).permute(0, 2, 3, 1)
        phases = cells.unflatten(2, (-1, step_x)).unflatten(1, (-1, step_y)).permute(2, 4, 0, 1, 3, 5).flatten(0, 2)
        padding = (self.kernel_size[0] // 2, self.kernel_size[1] // 2)
        output = functional.conv2d(
            phases.permute(0, 3, 1, 2), self.weight, self.bias, padding=padding, groups=self.groups
        )
        parts = output.permute(0, 2, 3, 1).unflatten(0, (step_y, step_x, -1))
        whole = parts.permute(2, 3, 0, 4, 1, 5).flatten(3, 4).flatten(1, 2)[:, :height, :width]
        return whole.permute(0, 3, 1, 2)


class DepthwiseConv2d(_FastOnCPU):
    """A depthwise convolution of torch."""


class DepthwiseConv2dSame(_FastOnCPU, Conv2dSame):
    """A depthwise convolution with TensorFlow's "same" padding."""


def speed_up_depthwise(network: nn.Module) -> None:
    """Make the depthwise convolutions of a network fast on a CPU.

    Their class is changed in place, so parameters, hooks and references stay valid. Only torch's `Conv2d` and timm's
    `Conv2dSame` are changed, not their subclasses.

    Args:
        network: network to change.
    """
    fast_classes = {nn.Conv2d: DepthwiseConv2d, Conv2dSame: DepthwiseConv2dSame}
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
            module.__class__ = fast_classes.get(type(module), type(module))
