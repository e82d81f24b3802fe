"""Augmentation of a batch on its device: one affine map per case for the image, its fixations and its regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn import functional

from ggcam.data.augment_config import AugmentConfig


class Augmentation(NamedTuple):
    """Parameters of the augmentation of a batch; the affine map is relative to the centre of the frame.

    Attributes:
        matrix: (b, 2, 2), maps old to new positions (x, y).
        shift_px: (b, 2), shift (x, y) after the matrix.
        gain: (b,), factor of the contrast about mid-grey.
        offset: (b,), change of the brightness, as a fraction of the full range.
    """

    matrix: Float[Tensor, "b 2 2"]
    shift_px: Float[Tensor, "b 2"]
    gain: Float[Tensor, " b"]
    offset: Float[Tensor, " b"]


def draw_augmentations(
    config: AugmentConfig, row: Int[Tensor, " b"], frame: tuple[int, int], seed: int, epoch: int
) -> Augmentation:
    """Draw the augmentation of each case from (seed, epoch, case).

    There is no state, so resumed and distributed runs draw the same.

    Args:
        config: limits of the augmentation.
        row: index of each case in its split, (b,).
        frame: height and width of the images in pixels.
        seed: random seed of the run.
        epoch: number of the epoch.

    Returns:
        Parameters of each case.
    """
    generators = [np.random.Generator(np.random.Philox(key=[seed, epoch << 32 | index])) for index in row.tolist()]
    numbers = np.stack([generator.random(6) for generator in generators])
    uniform = torch.tensor(numbers, dtype=torch.float32, device=row.device)
    angle, shift_x, shift_y, zoom, gain, offset = (2 * uniform - 1).unbind(1)
    scale = (1 + config.zoom) ** zoom
    angle = torch.deg2rad(config.rotate_deg * angle)
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    return Augmentation(
        matrix=torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2),
        shift_px=config.shift * torch.stack([shift_x * frame[1], shift_y * frame[0]], -1),
        gain=1 + config.contrast * gain,
        offset=config.contrast * offset / 2,
    )


def augment_images(images: Shaped[Tensor, "b i H W"], augmentation: Augmentation) -> Float[Tensor, "b i H W"]:
    """Apply an augmentation to images.

    Args:
        images: (b, i, H, W), integers or floats from 0 to 1.
        augmentation: parameters of each image.

    Returns:
        Floats from 0 to 1 of the same shape; areas from outside the frame are black.
    """
    scale = 1.0 if images.is_floating_point() else float(torch.iinfo(images.dtype).max)
    grid = _sampling_grid(augmentation, images.shape[-2:], images.shape[-2:])
    moved = functional.grid_sample(images.float() / scale, grid, align_corners=False)
    gain, offset = augmentation.gain[:, None, None, None], augmentation.offset[:, None, None, None]
    inside = moved > 0  # keeps the padding black
    if images.shape[1] > 1:
        inside = inside.any(dim=1, keepdim=True)  # a colour may lack a channel
    return torch.where(inside, (moved - 0.5) * gain + 0.5 + offset, 0).clamp(0, 1)


def augment_maps(
    maps: Float[Tensor, "b r h w"], augmentation: Augmentation, frame: tuple[int, int]
) -> Float[Tensor, "b r h w"]:
    """Apply an augmentation to maps of the images, such as marked regions; their values stay the same.

    Args:
        maps: (b, r, h, w), of any resolution.
        augmentation: parameters of each image.
        frame: height and width of the images in pixels.

    Returns:
        Maps of the same shape; areas from outside the frame are 0.
    """
    grid = _sampling_grid(augmentation, frame, maps.shape[-2:])
    return functional.grid_sample(maps, grid, align_corners=False)


def augment_points(
    points_px: Float[Tensor, "b p 2"], augmentation: Augmentation, frame: tuple[int, int]
) -> Float[Tensor, "b p 2"]:
    """Apply an augmentation to positions.

    Args:
        points_px: positions (x_px, y_px) in the images, (b, p, 2).
        augmentation: parameters of each image.
        frame: height and width of the images in pixels.

    Returns:
        Positions in the augmented images.
    """
    centre = _centre(frame, points_px)
    return (points_px - centre) @ augmentation.matrix.transpose(1, 2) + centre + augmentation.shift_px[:, None]


# The functions below build no tensor from Python numbers on a GPU and call no linear algebra library there: either
# would make the host wait until the GPU has finished all queued work.


def _sampling_grid(augmentation: Augmentation, frame: Sequence[int], size: Sequence[int]) -> Float[Tensor, "b h w 2"]:
    """Return where in the old image each cell of the new one comes from, as `grid_sample` needs it."""
    half = _centre((frame[0], frame[1]), augmentation.matrix)
    # grid_sample needs the origin of each new pixel, in units of half a side about the centre.
    inverse = _inverse(augmentation.matrix)
    back = inverse * (half[None, None, :] / half[None, :, None])
    origin = -(inverse @ augmentation.shift_px[..., None])[..., 0] / half
    theta = torch.cat([back, origin[..., None]], -1)
    return functional.affine_grid(theta, [len(theta), 1, *size], align_corners=False)


def scale_factor(augmentation: Augmentation) -> Float[Tensor, " b"]:
    """Return the factor by which each augmentation enlarges lengths: the square root of its matrix's determinant.

    Args:
        augmentation: parameters of each image.

    Returns:
        The factors, (b,).
    """
    return _determinant(augmentation.matrix).sqrt()


def _determinant(matrix: Float[Tensor, "b 2 2"]) -> Float[Tensor, " b"]:
    return matrix[:, 0, 0] * matrix[:, 1, 1] - matrix[:, 0, 1] * matrix[:, 1, 0]


def _inverse(matrix: Float[Tensor, "b 2 2"]) -> Float[Tensor, "b 2 2"]:
    (a, b), (c, d) = (row.unbind(-1) for row in matrix.unbind(-2))
    adjugate = torch.stack([torch.stack([d, -b], -1), torch.stack([-c, a], -1)], -2)
    return adjugate / _determinant(matrix)[:, None, None]


def _centre(frame: tuple[int, int], like: Tensor) -> Float[Tensor, " 2"]:
    """Return the centre (x, y) of the frame in pixels, with the type and device of another tensor."""
    return torch.stack([like.new_full((), side / 2) for side in (frame[1], frame[0])])
