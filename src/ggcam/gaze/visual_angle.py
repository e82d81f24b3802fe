"""Degrees of visual angle and image pixels. Light: it needs neither torch nor NumPy."""

from __future__ import annotations

FALLBACK_IMAGE_SIDE_DEG = 28.5
"""Visual angle of an image's longer side where the pixels per degree are unknown.

It is about that of EGD-CXR: 1,024 lines of a 27-inch screen of 1920x1080 (0.311 mm per line) seen from about 65 cm.
The distance is an assumption.
"""


def fallback_px_per_degree(image_size: tuple[int, int]) -> float:
    """Return the pixels per degree of visual angle to assume where a data set does not record them.

    Args:
        image_size: height and width of the image in pixels.

    Returns:
        Longer side of the image divided by `FALLBACK_IMAGE_SIDE_DEG`.

    Example:
        >>> fallback_px_per_degree((1140, 800))
        40.0
    """
    return max(image_size) / FALLBACK_IMAGE_SIDE_DEG
