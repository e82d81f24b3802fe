"""The attention map of the original GG-CAM, computed without its full-size images."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int


def original_map(
    rows: Int[np.ndarray, " n"],
    columns: Int[np.ndarray, " n"],
    count: Float[np.ndarray, " n"] | Int[np.ndarray, " n"],
    raw_size: tuple[int, int],
    kernel_px: int = 500,
    canvas: tuple[int, int] = (3072, 2560),
    stride_px: int = 64,
) -> Float[np.ndarray, "h w"]:
    """Draw the attention map that the original GG-CAM trains on.

    The original counts gaze samples per raw pixel, blurs with `cv2.GaussianBlur` (`kernel_px` made odd, OpenCV's rule
    for sigma, border reflected without repeating the edge), centres the result on a canvas (a larger image is cropped),
    keeps every 64th pixel and divides by the maximum. The blur is separable, so each kept pixel is computed directly.

    Args:
        rows: raw pixel row of each sample, within the image.
        columns: raw pixel column of each sample, within the image.
        count: number of samples at that pixel, or any other weight >= 0.
        raw_size: height and width of the raw image in pixels.
        kernel_px: side of the blur kernel in pixels; the original offers 200, 500 and 800 and uses 500.
        canvas: height and width of the canvas in raw pixels.
        stride_px: distance between kept pixels.

    Returns:
        float64 with maximum 1; all zero where the original would divide 0 by 0.
    """
    row_kernel = _axis_response(raw_size[0], kernel_px, canvas[0], stride_px)[rows]
    column_kernel = _axis_response(raw_size[1], kernel_px, canvas[1], stride_px)[columns]
    blurred = (row_kernel * count[:, None]).T @ column_kernel
    peak = blurred.max(initial=0.0)
    return blurred / peak if peak > 0 else blurred


def original_sigma_px(kernel_px: int) -> float:
    """Return OpenCV's default standard deviation for a blur kernel.

    Args:
        kernel_px: side of the kernel in pixels; an even side is made odd by adding 1.

    Returns:
        Standard deviation in pixels: 30.5, 75.5 and 120.5 for 200, 500 and 800.
    """
    odd = kernel_px // 2 * 2 + 1
    return 0.3 * ((odd - 1) * 0.5 - 1) + 0.8


@lru_cache(maxsize=16)  # a data set has few image sizes
def _axis_response(side_px: int, kernel_px: int, canvas_px: int, stride_px: int) -> Float[np.ndarray, "side cells"]:
    """Response at each kept canvas pixel to one sample at each raw pixel, along one axis."""
    half = kernel_px // 2
    offsets = np.arange(-half, half + 1)
    taps = np.exp(-(offsets**2) / (2 * original_sigma_px(kernel_px) ** 2))
    # Canvas pixel -> raw pixel. The original pads with floor division, also where the result is negative.
    kept = np.arange(0, canvas_px, stride_px) - (canvas_px - side_px) // 2
    # The pixel that each tap reads, reflected at the border without repeating the edge.
    period = max(1, 2 * (side_px - 1))
    phase = (kept[:, None] + offsets) % period
    read = np.minimum(phase, period - phase)
    response = np.zeros((side_px, len(kept)))
    np.add.at(response, (read, np.arange(len(kept))[:, None]), taps / taps.sum())
    outside: Bool[np.ndarray, " cells"] = (kept < 0) | (kept >= side_px)
    response[:, outside] = 0
    response.flags.writeable = False
    return response
