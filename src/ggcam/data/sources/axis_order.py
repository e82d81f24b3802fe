"""Check that rows and columns of gaze are not exchanged: a network trains on transposed gaze without any error."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from ggcam.errors import DataError

log = logging.getLogger(__name__)

MIN_READINGS = 20
"""With fewer readings the two orders cannot be told apart. On the gaze of 125 chest X-rays of SIIM-ACR, samples of 20
readings gave the correct order in 99.97 % of the draws."""

_LUNG_COLUMN, _LUNG_ROW = (0.3, 0.7), 0.4
_LUNG_HALF_WIDTH, _LUNG_HALF_HEIGHT = 0.16, 0.35
"""Typical position of the lungs on a frontal chest X-ray: two ellipses, in fractions of the image."""

Points = Float[np.ndarray, "n 3"]
"""Row and column in fractions of the image, and the weight."""


def on_lungs(points: Points) -> float:
    """Return the fraction of the weight at the typical position of the lungs on a frontal chest X-ray.

    Args:
        points: rows, columns and weights.

    Returns:
        0 to 1; NaN if the weights sum to 0.
    """
    row, column, weight = points.T
    inside = np.zeros(len(points), dtype=bool)
    for centre in _LUNG_COLUMN:
        inside |= ((column - centre) / _LUNG_HALF_WIDTH) ** 2 + ((row - _LUNG_ROW) / _LUNG_HALF_HEIGHT) ** 2 <= 1
    return float(weight[inside].sum() / weight.sum()) if weight.sum() > 0 else float("nan")


def on_lesion(points: Points, lesion: Bool[np.ndarray, "h w"]) -> float:
    """Return the density of the weight on a lesion, relative to its mean density on the image.

    Args:
        points: rows, columns and weights.
        lesion: mask of the lesion.

    Returns:
        0 or more; above 1 if the lesion is denser than the image. NaN if the weights sum to 0 or the mask is empty.
    """
    row, column, weight = points.T
    height, width = lesion.shape
    inside = (row >= 0) & (row < 1) & (column >= 0) & (column < 1)
    at = (row[inside] * height).astype(int), (column[inside] * width).astype(int)
    weight_on_lesion = weight[inside][lesion[at]].sum()
    if not (weight.sum() > 0 and lesion.any()):
        return float("nan")
    return float(weight_on_lesion / weight.sum() / lesion.mean())


def check_axis_order(readings: Iterable[tuple[Points, Bool[np.ndarray, "h w"] | None]], where: Path, hint: str) -> None:
    """Raise an error if less gaze lies on the lungs or lesions than would with rows and columns exchanged.

    There are two tests, because each alone mistakes one error for another: a transposed lesion mask looks like
    transposed gaze, but the lungs do not depend on the lesions. A test needs 20 readings; with fewer, a warning is
    logged.

    Args:
        readings: rows, columns and weights of each reading, with the mask of the lesions or None.
        where: the gaze file, for messages.
        hint: how to fix exchanged axes, for messages.

    Raises:
        DataError: the transpose fits better; the message has both values.
    """
    lungs: list[tuple[float, float]] = []
    lesions: list[tuple[float, float]] = []
    for points, lesion in readings:
        transposed = points[:, [1, 0, 2]]
        lungs.append((on_lungs(points), on_lungs(transposed)))
        if lesion is not None:
            lesions.append((on_lesion(points, lesion), on_lesion(transposed, lesion)))
    _check_scores(lungs, "the lungs", "fraction of the time on the lungs", where, hint)
    if lesions:
        _check_scores(lesions, "the lesions", "density on the lesions, relative to the mean", where, hint)


def _check_scores(scores: list[tuple[float, float]], target: str, unit: str, where: Path, hint: str) -> None:
    finite = np.array([pair for pair in scores if np.isfinite(pair).all()]).reshape(-1, 2)
    if len(finite) < MIN_READINGS:
        log.warning("%s: %d readings are too few to check the order of the axes by %s", where, len(finite), target)
        return
    as_read, transposed = finite.mean(axis=0)
    if as_read <= transposed:
        raise DataError(
            f"less gaze lies on {target} than its transpose would: rows and columns are exchanged",
            where=where,
            expected=f"{unit} above {transposed:.2f}, the value of the transpose",
            got=f"{as_read:.2f}",
            hint=hint,
        )
