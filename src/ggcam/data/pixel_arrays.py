"""Arrays of pixels: their types and channels, and how they are resized to the frame of the prepared folder."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Shaped, UInt8

from ggcam.data.case import Frame

Grey = Shaped[np.ndarray, "h w"]
"""An image of one channel, uint8 (0 to 255) or uint16 (0 to 65535)."""

Pixels = Shaped[np.ndarray, "h w *rgb"]
"""An image of one channel, shape (h, w), or RGB, shape (h, w, 3); uint8, uint16, or float32 for arrays."""


def to_integers(pixels: Pixels) -> Pixels:
    """Scale the values of a float32 array to uint16, with 0 black and the largest value white.

    Args:
        pixels: float32 values >= 0; uint8 and uint16 are returned unchanged.

    Returns:
        uint8 or uint16.
    """
    if pixels.dtype != np.float32:
        return pixels
    peak = float(pixels.max(initial=0))
    return np.rint(pixels * (65535 / peak if peak > 0 else 0)).astype(np.uint16)


def to_channels(pixels: Pixels, channels: int) -> Shaped[np.ndarray, "h w *channels"]:
    """Convert colours to grey, or repeat a grey image in three channels.

    Args:
        pixels: grey or RGB.
        channels: 1 or 3.

    Returns:
        Shape (h, w) for one channel (0.299 R + 0.587 G + 0.114 B), (h, w, 3) for three; unchanged if it is so already.
    """
    if channels == 1:
        return pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return pixels if pixels.ndim == 3 else cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)


def to_uint8(image: Pixels) -> UInt8[np.ndarray, "h w *rgb"]:
    """Convert an image to 8 bits per pixel.

    Args:
        image: uint16, where 65535 becomes 255, rounded to the nearest value; uint8 is returned unchanged.

    Returns:
        uint8.
    """
    return image if image.dtype == np.uint8 else cv2.convertScaleAbs(image, alpha=1 / 257)


def resize_to_frame(
    image: Pixels, frame: Frame, raw_size: tuple[int, int] | None = None
) -> Shaped[np.ndarray, "frame_h frame_w *rgb"]:
    """Fit a whole image into the frame as :meth:`Frame.fit` places it; the rest is black.

    Images are reduced by area averaging, to avoid aliasing, and enlarged by linear interpolation.

    Args:
        image: grey or RGB, uint8 or uint16.
        frame: target size.
        raw_size: height and width of the raw image, if `image` has been decoded at a lower resolution.

    Returns:
        Of the frame's size, and of the image's type and channels.
    """
    raw_size = raw_size or image.shape[:2]
    height, width = frame.fitted_size(*raw_size)
    shrinks = height <= image.shape[0] and width <= image.shape[1]
    return _fit(image, frame, cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR, raw_size)


def resize_mask(mask: Bool[np.ndarray, "h w"], frame: Frame) -> Bool[np.ndarray, "frame_h frame_w"]:
    """Fit a mask into the frame like its image. A pixel is inside if the mask is true at its centre.

    Args:
        mask: shape (h, w), true inside.
        frame: target size.

    Returns:
        Shape (frame.height_px, frame.width_px); false off the image.
    """
    return _fit(mask.view(np.uint8), frame, cv2.INTER_NEAREST_EXACT, mask.shape).view(bool)


def _fit(
    image: Pixels, frame: Frame, interpolation: int, size: tuple[int, ...]
) -> Shaped[np.ndarray, "frame_h frame_w *rgb"]:
    height, width = frame.fitted_size(*size)
    affine = frame.fit(*size)
    top, left = int(affine.shift_y_px), int(affine.shift_x_px)
    framed = np.zeros((*frame.shape, *image.shape[2:]), image.dtype)
    framed[top : top + height, left : left + width] = cv2.resize(image, (width, height), interpolation=interpolation)
    return framed
