"""Fixations: position, start and duration of every rest of the eye."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numpy.typing import ArrayLike, DTypeLike

Column = Float[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class Fixations:
    """The fixations of one reading as columns of equal length, in order of time.

    Positions are continuous, in pixels from the top-left *corner* of the image: pixel (row r, column c) covers
    r <= y_px < r + 1 and c <= x_px < c + 1. A fixation known only as an integer pixel lies at its centre,
    (c + 0.5, r + 0.5).

    Attributes:
        x_px: shape (n,), distance from the left edge in pixels. May lie off the image.
        y_px: shape (n,), distance from the top edge in pixels. May lie off the image.
        start_s: shape (n,), seconds since the start of the recording; NaN where unknown.
        duration_s: shape (n,), seconds, >= 0.
        px_per_degree_x: shape (n,), image pixels per degree of visual angle along x; NaN where unknown.
        px_per_degree_y: shape (n,), image pixels per degree of visual angle along y; NaN where unknown.
        label: shape (n,), the class or finding that a fixation belongs to; "" where unknown.

    Example:
        >>> gaze = Fixations.build(x_px=[96.0, 32.0], y_px=[32.0, 96.0], duration_s=[0.3, 0.1])
        >>> len(gaze), gaze.total_s
        (2, 0.4)
    """

    x_px: Column
    y_px: Column
    start_s: Column
    duration_s: Column
    px_per_degree_x: Column
    px_per_degree_y: Column
    label: Shaped[np.ndarray, " n"]

    @classmethod
    def build(
        cls,
        x_px: Sequence[float] | np.ndarray,
        y_px: Sequence[float] | np.ndarray,
        duration_s: Sequence[float] | np.ndarray | float = 1.0,
        start_s: Sequence[float] | np.ndarray | float = np.nan,
        px_per_degree: float | tuple[float, float] = np.nan,
        label: Sequence[str] | np.ndarray | str = "",
    ) -> Fixations:
        """Build fixations from array-likes; a single number or string applies to every fixation.

        Args:
            x_px: distance from the left edge in pixels.
            y_px: distance from the top edge in pixels.
            duration_s: duration in seconds, >= 0.
            start_s: start in seconds since the start of the recording; NaN where unknown.
            px_per_degree: image pixels per degree of visual angle, or a pair (x, y); NaN where unknown.
            label: class or finding that a fixation belongs to; "" where unknown.

        Returns:
            Fixations with validated columns.

        Raises:
            ValueError: the columns differ in length, a position is not finite, or a duration is negative or NaN.
        """
        x = np.atleast_1d(np.asarray(x_px, dtype=np.float64))
        pair = px_per_degree if isinstance(px_per_degree, tuple) else (px_per_degree, px_per_degree)

        def column(
            name: str, value: ArrayLike | Sequence[float] | Sequence[str], dtype: DTypeLike = np.float64
        ) -> np.ndarray:
            array = np.asarray(value, dtype=dtype)
            if array.ndim and array.shape != x.shape:
                raise ValueError(f"{name} has shape {array.shape}, x_px has {x.shape}")
            return np.ascontiguousarray(np.broadcast_to(array, x.shape))

        fixations = cls(
            x_px=x,
            y_px=column("y_px", np.atleast_1d(np.asarray(y_px, dtype=np.float64))),
            start_s=column("start_s", start_s),
            duration_s=column("duration_s", duration_s),
            px_per_degree_x=column("px_per_degree", pair[0]),
            px_per_degree_y=column("px_per_degree", pair[1]),
            label=column("label", label, np.str_),
        )
        if not (np.isfinite(fixations.x_px).all() and np.isfinite(fixations.y_px).all()):
            raise ValueError("x_px and y_px must be finite; drop fixations without a position first")
        if not (fixations.duration_s >= 0).all():
            raise ValueError("duration_s must be 0 or more")
        return fixations

    @classmethod
    def empty(cls) -> Fixations:
        """Return zero fixations, for a case without gaze."""
        return cls.build([], [])

    def __len__(self) -> int:
        return len(self.x_px)

    @property
    def total_s(self) -> float:
        """Sum of the durations in seconds."""
        return float(self.duration_s.sum())

    def select(self, keep: Bool[np.ndarray, " n"]) -> Fixations:
        """Select fixations and keep their order.

        Args:
            keep: true for each fixation to keep, shape (n,).

        Returns:
            The selected fixations.
        """
        return Fixations(**{f.name: getattr(self, f.name)[keep] for f in fields(self)})

    def inside(self, height_px: int, width_px: int) -> Bool[np.ndarray, " n"]:
        """Check which fixations lie on an image of the given size.

        Args:
            height_px: height of the image in pixels.
            width_px: width of the image in pixels.

        Returns:
            True for each fixation on the image, shape (n,); see :func:`inside_image`.
        """
        return inside_image(self.x_px, self.y_px, height_px, width_px)


def inside_image(
    x_px: Shaped[np.ndarray, " n"],
    y_px: Shaped[np.ndarray, " n"],
    height_px: Int[np.ndarray, " n"] | int,
    width_px: Int[np.ndarray, " n"] | int,
) -> Bool[np.ndarray, " n"]:
    """Return whether each point lies on its image; an unknown position (NaN) does not.

    Args:
        x_px: positions to the right, in continuous pixels from the image's left edge.
        y_px: positions downwards, from its top edge.
        height_px: height of the image, or of each point's image.
        width_px: width of the image, or of each point's image.

    Returns:
        True for 0 <= x_px < width_px and 0 <= y_px < height_px, shape (n,).
    """
    return (x_px >= 0) & (x_px < width_px) & (y_px >= 0) & (y_px < height_px)


def concatenate(readings: Sequence[Fixations]) -> Fixations:
    """Concatenate the fixations of several readings.

    Args:
        readings: fixations of each reading; may be empty.

    Returns:
        All fixations, one reading after the other.
    """
    if not readings:
        return Fixations.empty()
    return Fixations(**{f.name: np.concatenate([getattr(r, f.name) for r in readings]) for f in fields(Fixations)})


def coverage(fixations: Fixations, inside: Bool[np.ndarray, " n"]) -> float:
    """Compute the share of the fixation time spent inside an area.

    Args:
        fixations: the fixations.
        inside: true for each fixation inside the area, shape (n,).

    Returns:
        Share from 0 to 1; NaN when the total time is 0.
    """
    total = fixations.total_s
    return float(fixations.duration_s[inside].sum() / total) if total > 0 else float("nan")
