"""Fixations -> attention map, straight on the grid of the CAM: no full-resolution image in between.

A Gaussian is separable, so a map of F fixations on an h x w grid is one product of an (h, F) and an (F, w) matrix.
Here a cell holds the *integral* of each Gaussian over the cell (a difference of error functions), which is what
blurring at full resolution and then averaging over the cell would give.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ggcam.gaze.fixations import Fixations

Kind = Literal["density", "peak"]
Weight = Literal["duration", "count"]
LabelGaze = Literal["own-else-all", "all", "own"]

POINTS_AT_ONCE = 8192
"""On a CPU: the factors of so many points stay in the processor's cache, which is three times as fast."""


def attention_maps(
    points_px: Float[Tensor, "b p 2"],
    weight: Float[Tensor, "b p"],
    sigma_px: Float[Tensor, "b p 2"] | float,
    image_size: tuple[int, int],
    grid: tuple[int, int],
) -> Float[Tensor, "b h w"]:
    """Draw the attention maps of a batch, on the device that the points are on.

    Args:
        points_px: (x_px, y_px) of each fixation in the frame; padding may hold anything finite.
        weight: of each fixation, >= 0: its duration in seconds, say; 0 for padding.
        sigma_px: standard deviation of the Gaussian in frame pixels, along x and y; one number stands for all.
        image_size: height and width of the frame in pixels.
        grid: height and width of the map in cells.

    Returns:
        Densities: each map sums to 1, or is all zero where no weight falls on the frame.
    """
    if isinstance(sigma_px, (int, float)):
        sigma_px = torch.full_like(points_px, sigma_px)
    cases, points = weight.shape
    at_once = max(1, POINTS_AT_ONCE // max(1, points)) if points_px.is_cpu else max(1, cases)
    parts = zip(points_px.split(at_once), weight.split(at_once), sigma_px.split(at_once), strict=True)
    return as_density(torch.cat([_mass(*part, image_size, grid) for part in parts]))


class GazeBatch(NamedTuple):
    """The gaze of a batch of cases, from which a map is drawn on whichever grid somebody needs.

    Attributes:
        points_px: (b, p, 2), x_px and y_px in the frame; anything finite where padded.
        weight: (b, p), >= 0; 0 where padded.
        sigma_px: (b, p, 2), standard deviation of the Gaussian of each point.
        image_size: height and width in pixels.
        label: (b, p), index of the class that each point belongs to, -1 where it belongs to none; None: none does.
        label_gaze: which points speak of a label: its "own", "all" of the case, or its own where it has any
            ("own-else-all").
    """

    points_px: Float[Tensor, "b p 2"]
    weight: Float[Tensor, "b p"]
    sigma_px: Float[Tensor, "b p 2"]
    image_size: tuple[int, int]
    label: Int[Tensor, "b p"] | None = None
    label_gaze: LabelGaze = "own-else-all"

    def density(self, grid: tuple[int, int]) -> Float[Tensor, "b h w"]:
        """Maps that sum to 1; all zero for a case without gaze."""
        return attention_maps(self.points_px, self.weight, self.sigma_px, self.image_size, grid)

    def for_labels(self, case: Int[Tensor, " m"], label: Int[Tensor, " m"]) -> GazeBatch:
        """The gaze that speaks of a label of a case, for m pairs of the place of a case in the batch and a class.

        Points that do not speak of the label keep their place and weigh 0.
        """
        weight = self.weight[case]
        points = torch.full_like(weight, -1, dtype=torch.long) if self.label is None else self.label[case]
        if self.label_gaze != "all":
            own = weight * (points == label[:, None])
            has_own = (own > 0).any(dim=1, keepdim=True)
            weight = own if self.label_gaze == "own" else torch.where(has_own, own, weight)
        return self._replace(points_px=self.points_px[case], weight=weight, sigma_px=self.sigma_px[case], label=points)


def _mass(
    points_px: Float[Tensor, "b p 2"],
    weight: Float[Tensor, "b p"],
    sigma_px: Float[Tensor, "b p 2"],
    image_size: tuple[int, int],
    grid: tuple[int, int],
) -> Float[Tensor, "b h w"]:
    columns = _cell_integrals(points_px[..., 0], sigma_px[..., 0], image_size[1], grid[1])
    rows = _cell_integrals(points_px[..., 1], sigma_px[..., 1], image_size[0], grid[0])
    return (rows * weight[..., None]).transpose(1, 2) @ columns


def _cell_integrals(
    x: Float[Tensor, "b p"], sigma: Float[Tensor, "b p"], side_px: int, cells: int
) -> Float[Tensor, "b p c"]:
    """Integral of a unit Gaussian at each point over each of the `cells` equal parts of [0, side_px]."""
    edges = torch.linspace(0, side_px, cells + 1, device=x.device, dtype=x.dtype)
    z = (edges - x[..., None]) / (sigma[..., None] * math.sqrt(2))
    return torch.erf(z).diff(dim=-1) / 2


def as_density(maps: Float[Tensor, "b h w"]) -> Float[Tensor, "b h w"]:
    """Divide each map by its sum; a map of zeros stays one. Maps must be >= 0."""
    return maps / maps.sum(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(maps.dtype).tiny)


def as_peak(maps: Float[Tensor, "b h w"]) -> Float[Tensor, "b h w"]:
    """Divide each map by its maximum; a map of zeros stays one. Maps must be >= 0."""
    return maps / maps.amax(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(maps.dtype).tiny)


def sigma_in_px(
    px_per_degree: Float[Tensor, "*b 2"], sigma_deg: float, fallback_px_per_degree: float
) -> Float[Tensor, "*b 2"]:
    """Degrees of visual angle -> pixels, fixation by fixation; NaN (unknown) takes the fallback."""
    return sigma_deg * torch.nan_to_num(px_per_degree, nan=fallback_px_per_degree)


FALLBACK_IMAGE_SIDE_DEG = 28.5
"""Visual angle that an image's longer side spans where nothing better is known: 1,024 lines of a 27-inch 1920x1080
screen (0.311 mm each) seen from 65 cm, as in EGD-CXR; the distance is an assumption."""


def attention_map(
    fixations: Fixations,
    grid: tuple[int, int],
    image_size: tuple[int, int],
    sigma_px: float | None = None,
    sigma_deg: float = 1.0,
    kind: Kind = "peak",
    weight: Weight = "duration",
) -> Float[np.ndarray, "h w"]:
    """Draw the attention map of one case.

    Args:
        fixations: in pixels of the frame. Those off the frame contribute what of their Gaussian falls on it.
        grid: height and width of the map in cells.
        image_size: height and width of the frame in pixels.
        sigma_px: standard deviation of the Gaussian in frame pixels; `sigma_deg` counts when it is None.
        sigma_deg: the same in degrees of visual angle, through each fixation's pixels per degree (where these are
            unknown, the frame's longer side is taken as 28.5 degrees).
        kind: "density" sums to 1, "peak" has maximum 1.
        weight: each fixation counts by its duration, or as one.

    Returns:
        float64, shape `grid`; all zero when there is nothing to draw.

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
        sigma = sigma_in_px(torch.tensor(per_degree)[None], sigma_deg, max(image_size) / FALLBACK_IMAGE_SIDE_DEG)
    maps = attention_maps(points, weights, sigma, image_size, grid)
    return (as_peak(maps) if kind == "peak" else maps)[0].numpy()


def fixation_histogram(
    fixations: Fixations, grid: tuple[int, int], image_size: tuple[int, int], weight: Weight = "count"
) -> Float[np.ndarray, "h w"]:
    """How many fixations, or seconds of them, fall into each cell, without any blur; shape `grid`.

    Those off the frame, or without any duration, are left out.

    Args:
        fixations: in pixels of the frame.
        grid: height and width of the map in cells.
        image_size: height and width of the frame in pixels.
        weight: each fixation counts by its duration, or as one.
    """
    kept = fixations.select(fixations.inside(*image_size) & (fixations.duration_s > 0))
    row = (kept.y_px * (grid[0] / image_size[0])).astype(np.int64)
    column = (kept.x_px * (grid[1] / image_size[1])).astype(np.int64)
    counts = np.zeros(grid)
    # The last float below the frame's end may be rounded up to the end itself.
    cells = (np.minimum(row, grid[0] - 1), np.minimum(column, grid[1] - 1))
    np.add.at(counts, cells, kept.duration_s if weight == "duration" else 1.0)
    return counts


def original_map(
    rows: Int[np.ndarray, " n"],
    columns: Int[np.ndarray, " n"],
    count: Float[np.ndarray, " n"] | Int[np.ndarray, " n"],
    raw_size: tuple[int, int],
    kernel_px: int = 500,
    canvas: tuple[int, int] = (3072, 2560),
    stride_px: int = 64,
) -> Float[np.ndarray, "h w"]:
    """The map that the code released with GG-CAM computes, without its full-size images.

    That code counts gaze samples per raw pixel, blurs with `cv2.GaussianBlur` (`kernel_px` made odd, sigma by OpenCV's
    rule, border mirrored without repeating the edge), centres the result on a canvas (a larger image is cropped),
    keeps every 64th pixel and divides by the maximum.

    Args:
        rows: raw pixel row of each sample, within the image.
        columns: raw pixel column of each sample, within the image.
        count: how many samples it stands for.
        raw_size: height and width of the raw image in pixels.
        kernel_px: side of the blur kernel; 200, 500 and 800 were released, 500 used.
        canvas: height and width of the padded frame in raw pixels.
        stride_px: distance between kept pixels.

    Returns:
        float64, maximum 1; all zero where the original would divide 0 by 0.
    """
    row_kernel = _original_axis(raw_size[0], kernel_px, canvas[0], stride_px)[rows]
    column_kernel = _original_axis(raw_size[1], kernel_px, canvas[1], stride_px)[columns]
    blurred = (row_kernel * count[:, None]).T @ column_kernel
    peak = blurred.max(initial=0.0)
    return blurred / peak if peak > 0 else blurred


@lru_cache(maxsize=16)  # images come in few sizes
def _original_axis(side_px: int, kernel_px: int, canvas_px: int, stride_px: int) -> Float[np.ndarray, "side cells"]:
    """Response at each kept canvas pixel to a unit sample at each raw pixel: one axis of the released blur."""
    half = kernel_px // 2
    offsets = np.arange(-half, half + 1)
    taps = np.exp(-(offsets**2) / (2 * original_sigma_px(kernel_px) ** 2))
    # Canvas pixel -> raw pixel. Python's floor division is that of the original's padding, also when it is negative.
    kept = np.arange(0, canvas_px, stride_px) - (canvas_px - side_px) // 2
    # The pixel that each tap reads, mirrored at the border without repeating the edge.
    period = max(1, 2 * (side_px - 1))
    turned = (kept[:, None] + offsets) % period
    read = np.minimum(turned, period - turned)
    response = np.zeros((side_px, len(kept)))
    np.add.at(response, (read, np.arange(len(kept))[:, None]), taps / taps.sum())
    outside: Bool[np.ndarray, " cells"] = (kept < 0) | (kept >= side_px)
    response[:, outside] = 0
    response.flags.writeable = False
    return response


def original_sigma_px(kernel_px: int) -> float:
    """OpenCV's standard deviation for a kernel of that side, made odd: 30.5, 75.5, 120.5 px for 200, 500, 800."""
    odd = kernel_px // 2 * 2 + 1
    return 0.3 * ((odd - 1) * 0.5 - 1) + 0.8
