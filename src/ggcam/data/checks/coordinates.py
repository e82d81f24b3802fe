"""Where gaze lies on its image, as it is and as it would if a usual mistake had been made."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Bool, Float

from ggcam.data.case import Affine
from ggcam.data.prepared import PreparedData

Points = Float[np.ndarray, "_ 3"]
"""Row and column in shares of the image, and the weight; of each case in a number of its own."""

AS_IT_IS = "as it is"

Move = Callable[[Points, float], Points]
"""Moves rows and columns, in shares of an image, given the image's height over its width."""


def _exchanged(points: Points, stretch: float, about: float = 0.0) -> Points:
    """Rows and columns exchanged; `stretch` is 1 for shares, height over width for pixels, from the point `about`."""
    row, column, weight = points.T
    return np.stack([about + (column - about) / stretch, about + (row - about) * stretch, weight], axis=1)


def _scaled(times: float) -> Move:
    return lambda points, _: points * [times, times, 1]


AXES: Mapping[str, Move] = {
    "exchanging x and y as shares of the image": lambda points, _: _exchanged(points, 1),
    "exchanging x and y in pixels": lambda points, aspect: _exchanged(points, aspect),
    "exchanging x and y about the middle": lambda points, aspect: _exchanged(points, aspect, about=0.5),
    "turning it upside down": lambda points, _: points * [-1, 1, 1] + [1, 0, 0],
}
SCALES: Mapping[str, Move] = {
    "doubling x and y": _scaled(2),
    "halving x and y": _scaled(1 / 2),
    "multiplying x and y by 1.5": _scaled(1.5),
    "dividing x and y by 1.5": _scaled(1 / 1.5),
}
MOVES: Mapping[str, Move] = {AS_IT_IS: lambda points, _: points, **AXES, **SCALES}
"""What might mend gaze that lies wrong; as it is comes first."""


def image_places(prepared: PreparedData) -> dict[str, Affine]:
    """Case id -> the way from its raw image into the frame."""
    columns = ("case_id", "scale_x", "shift_x_px", "scale_y", "shift_y_px")
    return {
        case_id: Affine(*map(float, place))
        for case_id, *place in zip(*(prepared.cases[name] for name in columns), strict=True)
    }


def raw_sizes(prepared: PreparedData) -> dict[str, tuple[int, int]]:
    """Case id -> height and width of its raw image in pixels."""
    columns = ("case_id", "raw_height_px", "raw_width_px")
    return {
        case_id: (int(height), int(width))
        for case_id, height, width in zip(*(prepared.cases[name] for name in columns), strict=True)
    }


def gaze_points(prepared: PreparedData) -> dict[str, Points]:
    """Case id -> row and column of its fixations in shares of the raw image, and their seconds; those with any."""
    places, sizes = image_places(prepared), raw_sizes(prepared)
    found = {}
    for case_id, gaze in prepared.gaze.items():
        if gaze.total_s > 0:
            back, (height, width) = places[case_id].inverse(), sizes[case_id]
            rows, columns = back.apply_y(gaze.y_px) / height, back.apply_x(gaze.x_px) / width
            found[case_id] = np.stack([rows, columns, gaze.duration_s], axis=1)
    return found


def share_inside(points: Points, inside: Bool[np.ndarray, "h w"], place: Affine, size: tuple[int, int]) -> float:
    """Share of the weight that lies where `inside`, a mask of the frame, is true; what is off the frame is not.

    Args:
        points: in shares of the raw image, of some weight.
        inside: the mask.
        place: raw image -> frame.
        size: height and width of the raw image in pixels.
    """
    rows = np.floor(place.apply_y(points[:, 0] * size[0])).astype(int)
    columns = np.floor(place.apply_x(points[:, 1] * size[1])).astype(int)
    height, width = inside.shape
    on = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    weight: Float[np.ndarray, " n"] = points[:, 2]
    return float(weight[on][inside[rows[on], columns[on]]].sum() / weight.sum())
