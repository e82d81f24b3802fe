"""An image and its CAMs as the web page shows them: values, so that the page can change window and opacity."""

from __future__ import annotations

import base64

import numpy as np
from jaxtyping import Shaped

from ggcam.inference.result import PredictionResult
from ggcam.report.overlay import colour_table, unit_range
from ggcam.server.bodies import PictureBody, PixelsBody

CAM_SIDE_PX = 256
"""Maximum longer side of a CAM; the page enlarges it."""

_PERCENTILES = (0.5, 99.5)
"""Grey values of 16 bits that are black and white at first, as in overlays."""


def picture_body(result: PredictionResult) -> PictureBody:
    """Return an image with the CAM of each class.

    Args:
        result: a prediction that has its image at the size of the overlay.

    Returns:
        The image in its own depth, and the CAMs in 8 bits.
    """
    assert result.shown is not None
    shown = result.shown
    low, high = 0, int(np.iinfo(shown.dtype).max)
    if shown.dtype == np.uint16 and shown.ndim == 2:
        low, high = (int(value) for value in np.percentile(shown, _PERCENTILES))
    height, width = shown.shape[:2]
    scale = min(1.0, CAM_SIDE_PX / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    cams = {name: pixels_body(_to_bytes(result.cam_at(name, size))) for name in result.cam_grid}
    return PictureBody(image=pixels_body(shown), window=(low, max(high, low + 1)), cams=cams)


def pixels_body(pixels: Shaped[np.ndarray, "h w *rgb"]) -> PixelsBody:
    """Return pixels as JSON can hold them.

    Args:
        pixels: uint8 or uint16, grey or RGB.

    Returns:
        The body.
    """
    little_endian = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
    return PixelsBody(
        width=pixels.shape[1],
        height=pixels.shape[0],
        channels=3 if pixels.ndim == 3 else 1,
        bits=8 * pixels.dtype.itemsize,
        data=base64.b64encode(little_endian.data).decode(),
    )


def colours_in_base64() -> str:
    """Return the colours of CAMs, from the lowest to the highest value, three bytes each."""
    return base64.b64encode(colour_table().tobytes()).decode()


def _to_bytes(cam: Shaped[np.ndarray, "h w"]) -> Shaped[np.ndarray, "h w"]:
    return np.rint(255 * unit_range(cam)).astype(np.uint8)
