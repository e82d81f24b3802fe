"""Augmentation of a whole batch on its device: the image and the fixation points move by one and the same affine."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn import functional

from ggcam.data.augment_config import AugmentConfig


class Change(NamedTuple):
    """What is done to each image of a batch; the affine maps old to new positions about the frame's centre.

    Attributes:
        matrix: (b, 2, 2), applied to (x, y).
        shift_px: (b, 2), added afterwards.
        gain: (b,), contrast about mid-grey.
        offset: (b,), brightness, in units of the full range.
    """

    matrix: Float[Tensor, "b 2 2"]
    shift_px: Float[Tensor, "b 2"]
    gain: Float[Tensor, " b"]
    offset: Float[Tensor, " b"]


def draw_changes(
    config: AugmentConfig, row: Int[Tensor, " b"], frame: tuple[int, int], seed: int, epoch: int
) -> Change:
    """Draw each case's change from (seed, epoch, case): no state, so a resumed or a distributed run draws the same.

    Args:
        config: the limits.
        row: of each case in its split.
        frame: height and width in pixels.
        seed: of the run.
        epoch: number of the epoch.
    """
    uniform = torch.tensor(
        np.stack([np.random.Generator(np.random.Philox(key=[seed, epoch << 32 | i])).random(6) for i in row.tolist()]),
        dtype=torch.float32,
        device=row.device,
    )
    angle, shift_x, shift_y, zoom, gain, offset = (2 * uniform - 1).unbind(1)
    scale = (1 + config.zoom) ** zoom
    angle = torch.deg2rad(config.rotate_deg * angle)
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    return Change(
        matrix=torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2),
        shift_px=config.shift * torch.stack([shift_x * frame[1], shift_y * frame[0]], -1),
        gain=1 + config.contrast * gain,
        offset=config.contrast * offset / 2,
    )


def change_images(images: Shaped[Tensor, "b i H W"], change: Change) -> Float[Tensor, "b i H W"]:
    """Integer images, or floats in 0..1 -> changed floats in 0..1; what comes from outside the frame is black."""
    scale = 1.0 if images.is_floating_point() else float(torch.iinfo(images.dtype).max)
    height, width = images.shape[-2:]
    half = torch.tensor([width / 2, height / 2], device=images.device)
    # grid_sample asks where each new pixel came from, in units of half a side about the centre.
    inverse = torch.linalg.inv(change.matrix)
    back = inverse * (half[None, None, :] / half[None, :, None])
    origin = -(inverse @ (change.shift_px)[..., None])[..., 0] / half
    grid = functional.affine_grid(
        torch.cat([back, origin[..., None]], -1), [len(images), 1, height, width], align_corners=False
    )
    moved = functional.grid_sample(images.float() / scale, grid, align_corners=False)
    gain, offset = change.gain[:, None, None, None], change.offset[:, None, None, None]
    inside = moved > 0  # padding stays black
    return torch.where(inside, (moved - 0.5) * gain + 0.5 + offset, 0).clamp(0, 1)


def change_points(points_px: Float[Tensor, "b p 2"], change: Change, frame: tuple[int, int]) -> Float[Tensor, "b p 2"]:
    """Carry (x_px, y_px) to where the changed image shows what was there."""
    centre = torch.tensor([frame[1] / 2, frame[0] / 2], device=points_px.device)
    return (points_px - centre) @ change.matrix.transpose(1, 2) + centre + change.shift_px[:, None]
