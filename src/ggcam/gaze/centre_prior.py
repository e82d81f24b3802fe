"""The centre prior: gaze falls near the middle of an image, whatever the image shows."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

CENTRE_PRIOR_SPREAD = 0.25
"""Standard deviation of the prior, as a fraction of each side: of the baseline that the metrics compare a CAM with, and
of the training target of the control `centre`."""


def centre_map(grid: tuple[int, int], spread: float = CENTRE_PRIOR_SPREAD) -> Float[np.ndarray, "h w"]:
    """Return the centre prior, a Gaussian in the middle of the image, as a density.

    Args:
        grid: number of rows and columns.
        spread: standard deviation as a fraction of each side.

    Returns:
        Shape `grid`; sums to 1.

    Example:
        >>> centre_map((3, 3)).round(2)
        array([[0.05, 0.12, 0.05],
               [0.12, 0.3 , 0.12],
               [0.05, 0.12, 0.05]])
    """
    rows, columns = (np.exp(-(((np.arange(n) + 0.5) / n - 0.5) ** 2) / (2 * spread**2)) for n in grid)
    centre = rows[:, None] * columns
    return centre / centre.sum()
