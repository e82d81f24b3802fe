"""Positions of gaze on the image, as they are and after undoing common mistakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Bool, Float

from ggcam.data.affine import Affine
from ggcam.data.prepared import PreparedData
from ggcam.gaze.fixations import inside_image

Points = Float[np.ndarray, "_ 3"]
"""Row and column as fractions of the image's height and width, and the weight, of each point of a case."""

UNCHANGED = "unchanged"

Correction = Callable[[Points, float], Points]
"""Maps rows and columns, as fractions of an image, given the image's height divided by its width."""


def _swap_axes(points: Points, stretch: float, about: float = 0.0) -> Points:
    """Swap rows and columns around a point; `stretch` is 1 for fractions, height over width for pixels."""
    row, column, weight = points.T
    return np.stack([about + (column - about) / stretch, about + (row - about) * stretch, weight], axis=1)


def _scale_by(factor: float) -> Correction:
    return lambda points, _: points * [factor, factor, 1]


AXIS_CORRECTIONS: Mapping[str, Correction] = {
    "swapping x and y as fractions of the image": lambda points, _: _swap_axes(points, 1),
    "swapping x and y in pixels": lambda points, aspect: _swap_axes(points, aspect),
    "swapping x and y around the centre": lambda points, aspect: _swap_axes(points, aspect, about=0.5),
    "flipping it vertically": lambda points, _: points * [-1, 1, 1] + [1, 0, 0],
}
SCALE_CORRECTIONS: Mapping[str, Correction] = {
    "doubling x and y": _scale_by(2),
    "halving x and y": _scale_by(1 / 2),
    "multiplying x and y by 1.5": _scale_by(1.5),
    "dividing x and y by 1.5": _scale_by(1 / 1.5),
}
CORRECTIONS: Mapping[str, Correction] = {
    UNCHANGED: lambda points, _: points,
    **AXIS_CORRECTIONS,
    **SCALE_CORRECTIONS,
}
"""Corrections of common mistakes in the coordinates of gaze; the first one changes nothing."""


def image_affines(prepared: PreparedData) -> dict[str, Affine]:
    """Read the map of each case from its raw image to the frame.

    Args:
        prepared: prepared folder.

    Returns:
        Case id -> map.
    """
    columns = ("case_id", "scale_x", "shift_x_px", "scale_y", "shift_y_px")
    return {
        case_id: Affine(*map(float, values))
        for case_id, *values in zip(*(prepared.cases[name] for name in columns), strict=True)
    }


def raw_sizes(prepared: PreparedData) -> dict[str, tuple[int, int]]:
    """Read the size of each raw image.

    Args:
        prepared: prepared folder.

    Returns:
        Case id -> height and width in pixels.
    """
    columns = ("case_id", "raw_height_px", "raw_width_px")
    return {
        case_id: (int(height), int(width))
        for case_id, height, width in zip(*(prepared.cases[name] for name in columns), strict=True)
    }


def gaze_points(prepared: PreparedData) -> dict[str, Points]:
    """Compute the positions of the fixations as fractions of the raw images, weighted by duration.

    Args:
        prepared: prepared folder.

    Returns:
        Case id -> row, column and duration in seconds of each fixation; only cases with gaze of any duration.
    """
    affines, sizes = image_affines(prepared), raw_sizes(prepared)
    found = {}
    for case_id, gaze in prepared.gaze.items():
        if gaze.total_s > 0:
            to_raw, (height, width) = affines[case_id].inverse(), sizes[case_id]
            rows, columns = to_raw.apply_y(gaze.y_px) / height, to_raw.apply_x(gaze.x_px) / width
            found[case_id] = np.stack([rows, columns, gaze.duration_s], axis=1)
    return found


def share_inside(points: Points, inside: Bool[np.ndarray, "h w"], affine: Affine, size: tuple[int, int]) -> float:
    """Compute the share of the weight that lies inside a mask of the frame; points off the frame are outside.

    Args:
        points: positions as fractions of the raw image, with a total weight above 0.
        inside: mask of the frame, true inside.
        affine: map from the raw image to the frame.
        size: height and width of the raw image in pixels.

    Returns:
        Share from 0 to 1.
    """
    rows = np.floor(affine.apply_y(points[:, 0] * size[0])).astype(int)
    columns = np.floor(affine.apply_x(points[:, 1] * size[1])).astype(int)
    height, width = inside.shape
    on = inside_image(columns, rows, height, width)
    weight: Float[np.ndarray, " n"] = points[:, 2]
    return float(weight[on][inside[rows[on], columns[on]]].sum() / weight.sum())
