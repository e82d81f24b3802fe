"""Fixations -> attention map, drawn directly on the grid of the CAM, without a full-resolution image.

A Gaussian is separable, so the map of F fixations on an h x w grid is the product of an (h, F) and an (F, w) matrix.
Each cell holds the *integral* of every Gaussian over the cell (a difference of error functions). This equals a blur at
full resolution followed by averaging over each cell.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ggcam.gaze.fixations import Fixations
from ggcam.gaze.visual_angle import fallback_px_per_degree

Kind = Literal["density", "peak"]
Weight = Literal["duration", "count"]

MAX_CPU_POINTS = 8192
"""Points drawn at a time on a CPU. Their factors stay in the processor's cache, which is three times as fast."""


def attention_maps(
    points_px: Float[Tensor, "b p 2"],
    weight: Float[Tensor, "b p"],
    sigma_px: Float[Tensor, "b p 2"] | float,
    image_size: tuple[int, int],
    grid: tuple[int, int],
) -> Float[Tensor, "b h w"]:
    """Draw the attention maps of a batch, on the device of the points.

    Args:
        points_px: (x_px, y_px) of each fixation in the image; any finite value where padded.
        weight: weight of each fixation, >= 0, such as its duration in seconds; 0 where padded.
        sigma_px: standard deviation of each Gaussian in image pixels, along x and y; one number applies to all.
        image_size: height and width of the image in pixels.
        grid: height and width of the map in cells.

    Returns:
        Densities: each map sums to 1, or is all zero where no weight falls on the image.
    """
    if isinstance(sigma_px, (int, float)):
        sigma_px = torch.full_like(points_px, sigma_px)
    cases, points = weight.shape
    chunk = max(1, MAX_CPU_POINTS // max(1, points)) if points_px.is_cpu else max(1, cases)
    chunks = zip(points_px.split(chunk), weight.split(chunk), sigma_px.split(chunk), strict=True)
    return as_density(torch.cat([_mass(*part, image_size, grid) for part in chunks]))


def _mass(
    points_px: Float[Tensor, "b p 2"],
    weight: Float[Tensor, "b p"],
    sigma_px: Float[Tensor, "b p 2"],
    image_size: tuple[int, int],
    grid: tuple[int, int],
) -> Float[Tensor, "b h w"]:
    columns = _cell_integrals(points_px[..., 0], sigma_px[..., 0], image_size[1], grid[1])
    rows = _cell_integrals(points_px[..., 1], sigma_px[..., 1], image_size[0], grid[0])
    with torch.autocast(points_px.device.type, enabled=False):  # which would multiply in half precision
        return (rows * weight[..., None]).transpose(1, 2) @ columns


def _cell_integrals(
    x: Float[Tensor, "b p"], sigma: Float[Tensor, "b p"], side_px: int, cells: int
) -> Float[Tensor, "b p c"]:
    """Integrate a unit Gaussian at each point over each of the `cells` equal parts of [0, side_px]."""
    edges = torch.linspace(0, side_px, cells + 1, device=x.device, dtype=x.dtype)
    z = (edges - x[..., None]) / (sigma[..., None] * math.sqrt(2))
    return torch.erf(z).diff(dim=-1) / 2


def as_density(maps: Float[Tensor, "b h w"]) -> Float[Tensor, "b h w"]:
    """Divide each map by its sum.

    Args:
        maps: values >= 0.

    Returns:
        Maps that sum to 1; a map of zeros stays zero.
    """
    return maps / maps.sum(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(maps.dtype).tiny)


def as_peak(maps: Float[Tensor, "b h w"]) -> Float[Tensor, "b h w"]:
    """Divide each map by its maximum.

    Args:
        maps: values >= 0.

    Returns:
        Maps with maximum 1; a map of zeros stays zero.
    """
    return maps / maps.amax(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(maps.dtype).tiny)


def sigma_in_px(
    px_per_degree: Float[Tensor, "*b 2"], sigma_deg: float, image_size: tuple[int, int]
) -> Float[Tensor, "*b 2"]:
    """Convert a standard deviation from degrees of visual angle to pixels, fixation by fixation.

    Args:
        px_per_degree: image pixels per degree along x and y; NaN where unknown.
        sigma_deg: standard deviation in degrees.
        image_size: height and width of the image in pixels; they give the fallback where the resolution is unknown,
            see :func:`ggcam.gaze.visual_angle.fallback_px_per_degree`.

    Returns:
        Standard deviation in pixels along x and y.
    """
    return sigma_deg * torch.nan_to_num(px_per_degree, nan=fallback_px_per_degree(image_size))


def attention_map(
    fixations: Fixations,
    grid: tuple[int, int],
    image_size: tuple[int, int],
    *,
    sigma_px: float | None = None,
    sigma_deg: float = 1.0,
    kind: Kind = "peak",
    weight: Weight = "duration",
) -> Float[np.ndarray, "h w"]:
    """Draw the attention map of one case.

    Args:
        fixations: fixations in pixels of the image. One off the image contributes the part of its Gaussian that falls
            on the image.
        grid: height and width of the map in cells.
        image_size: height and width of the image in pixels.
        sigma_px: standard deviation of the Gaussian in image pixels; None to use `sigma_deg`.
        sigma_deg: standard deviation in degrees of visual angle, converted with each fixation's pixels per degree.
            Where these are unknown, the image's longer side is taken as 28.5 degrees.
        kind: "density" for a map that sums to 1, "peak" for a map with maximum 1.
        weight: "duration" weights each fixation by its duration, "count" weights all equally.

    Returns:
        float64 of shape `grid`; all zero when there is nothing to draw.

    Example:
        >>> gaze = Fixations.build(x_px=[96.0], y_px=[32.0], duration_s=[0.3])
        >>> attention_map(gaze, grid=(2, 2), image_size=(128, 128), sigma_px=8.0).round(3)
        array([[0., 1.],
               [0., 0.]])
    """
    points = torch.tensor(np.stack([fixations.x_px, fixations.y_px], axis=-1))[None]
    weights = torch.tensor(fixations.duration_s if weight == "duration" else np.ones(len(fixations)))[None]
    sigma: Tensor | float
    if sigma_px is not None:
        sigma = sigma_px
    else:
        per_degree = np.stack([fixations.px_per_degree_x, fixations.px_per_degree_y], axis=-1)
        sigma = sigma_in_px(torch.tensor(per_degree)[None], sigma_deg, image_size)
    maps = attention_maps(points, weights, sigma, image_size, grid)
    return (as_peak(maps) if kind == "peak" else maps)[0].numpy()


def fixation_histogram(
    fixations: Fixations, grid: tuple[int, int], image_size: tuple[int, int], weight: Weight = "count"
) -> Float[np.ndarray, "h w"]:
    """Count the fixations, or add up their durations, in each cell, without any blur.

    Args:
        fixations: fixations in pixels of the image. Those off the image, or of duration 0, are left out.
        grid: height and width of the result in cells.
        image_size: height and width of the image in pixels.
        weight: "count" counts fixations, "duration" adds up seconds.

    Returns:
        float64 of shape `grid`.
    """
    kept = fixations.select(fixations.inside(*image_size) & (fixations.duration_s > 0))
    row = (kept.y_px * (grid[0] / image_size[0])).astype(np.int64)
    column = (kept.x_px * (grid[1] / image_size[1])).astype(np.int64)
    counts = np.zeros(grid)
    # The largest float below the image's edge may be rounded up to the edge itself.
    cells = (np.minimum(row, grid[0] - 1), np.minimum(column, grid[1] - 1))
    np.add.at(counts, cells, kept.duration_s if weight == "duration" else 1.0)
    return counts
