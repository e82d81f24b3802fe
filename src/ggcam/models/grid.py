"""The grid of cells that a network divides an image into, so that a CAM covers the whole image and nothing else.

Overlays, gaze maps and metrics take cell i of n for the i-th of n equal parts of the image. That holds if the image is
a multiple of the network's stride. If it is not, many networks ignore the last rows and columns, and others have a last
cell that lies partly outside. A network that does not pad its convolutions (Inception) has fewer cells, which keep away
from the edges. So images are enlarged to whole cells first, and get the border that such a network lacks.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


def size_in_whole_cells(image_size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Round an image size up to whole cells.

    Args:
        image_size: height and width in pixels.
        stride: side of a cell in pixels.

    Returns:
        The smallest multiples of the stride that are not below the given size.

    Example:
        >>> size_in_whole_cells((100, 96), stride=32)
        (128, 96)
    """
    height, width = (-(-side // stride) * stride for side in image_size)
    return height, width


def fit_to_grid(image: Float[Tensor, "b i H W"], stride: int, border_px: int = 0) -> Float[Tensor, "b i h w"]:
    """Enlarge images to whole cells, and put a border around them.

    Args:
        image: images, standardised; those that are whole cells already are not resampled.
        stride: side of a cell in pixels.
        border_px: number of rows, and of columns, of zeros to add, half of them on each side.

    Returns:
        Images of at least the same size.
    """
    height, width = image.shape[2:]
    size = size_in_whole_cells((height, width), stride)
    if size != (height, width):
        image = functional.interpolate(image, size, mode="bilinear", align_corners=False)
    if border_px:
        before, after = border_px // 2, border_px - border_px // 2
        image = functional.pad(image, (before, after, before, after))
    return image


def feature_shape(network: nn.Module, image_size: tuple[int, int], in_channels: int) -> tuple[int, ...]:
    """Compute the shape of a network's features without computing their values.

    Args:
        network: module that maps images to features; it is not changed.
        image_size: height and width of the images in pixels.
        in_channels: number of image channels.

    Returns:
        Shape of the features of one image.
    """
    parameters = [*network.named_parameters(), *network.named_buffers()]
    without_values = {name: value.to("meta") for name, value in parameters}
    image = torch.empty(1, in_channels, *image_size, device="meta")
    training = network.training
    network.eval()  # a batch norm in training mode refuses a single value per channel
    try:
        with torch.no_grad():
            return tuple(torch.func.functional_call(network, without_values, (image,)).shape)
    finally:
        network.train(training)
