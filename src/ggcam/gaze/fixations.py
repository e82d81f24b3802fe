"""Fixations: where somebody looked, from when on, for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Shaped
from numpy.typing import ArrayLike, DTypeLike

Column = Float[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class Fixations:
    """One reading's fixations, a value each, in order of time.

    Positions are continuous, in pixels from the top-left *corner* of the image: pixel (row r, column c) covers
    r <= y_px < r + 1 and c <= x_px < c + 1, so a fixation known only as an integer pixel lies at its centre,
    (c + 0.5, r + 0.5).

    Attributes:
        x_px: shape (n,), to the right. May lie off the image.
        y_px: shape (n,), downwards. May lie off the image.
        start_s: shape (n,), seconds since the recording's own zero; NaN where unknown.
        duration_s: shape (n,), seconds, >= 0.
        px_per_degree_x: shape (n,), image pixels per degree of visual angle; NaN where unknown.
        px_per_degree_y: the same downwards.
        label: shape (n,), the class or finding a fixation belongs to; "" where unknown.
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
        """Make fixations from anything array-like; a single number or word stands for every fixation.

        Raises:
            ValueError: the columns differ in length, a position is not finite, or a duration is negative or NaN.
        """
        x = np.atleast_1d(np.asarray(x_px, dtype=np.float64))
        pair = px_per_degree if isinstance(px_per_degree, tuple) else (px_per_degree, px_per_degree)

        def column(name: str, value: ArrayLike, dtype: DTypeLike = np.float64) -> np.ndarray:
            array = np.asarray(value, dtype=dtype)
            if array.ndim and array.shape != x.shape:
                raise ValueError(f"{name} has shape {array.shape}, x_px has {x.shape}")
            return np.ascontiguousarray(np.broadcast_to(array, x.shape))

        made = cls(
            x_px=x,
            y_px=column("y_px", np.atleast_1d(np.asarray(y_px, dtype=np.float64))),
            start_s=column("start_s", start_s),
            duration_s=column("duration_s", duration_s),
            px_per_degree_x=column("px_per_degree", pair[0]),
            px_per_degree_y=column("px_per_degree", pair[1]),
            label=column("label", label, np.str_),
        )
        if not (np.isfinite(made.x_px).all() and np.isfinite(made.y_px).all()):
            raise ValueError("every position must be finite; drop the unknown ones first, and count them")
        if not (made.duration_s >= 0).all():
            raise ValueError("every duration_s must be 0 or more")
        return made

    @classmethod
    def empty(cls) -> Fixations:
        """No fixations at all."""
        return cls.build([], [])

    def __len__(self) -> int:
        return len(self.x_px)

    @property
    def total_s(self) -> float:
        """Sum of the durations, in seconds."""
        return float(self.duration_s.sum())

    def select(self, keep: Bool[np.ndarray, " n"]) -> Fixations:
        """The fixations where `keep` is true, in the same order."""
        return Fixations(**{f.name: getattr(self, f.name)[keep] for f in fields(self)})

    def inside(self, height_px: int, width_px: int) -> Bool[np.ndarray, " n"]:
        """True for each fixation on an image of that size, shape (n,)."""
        return (self.x_px >= 0) & (self.x_px < width_px) & (self.y_px >= 0) & (self.y_px < height_px)


def concatenate(readings: Sequence[Fixations]) -> Fixations:
    """All fixations of several readings, one reading after the other; none for no readings."""
    if not readings:
        return Fixations.empty()
    return Fixations(**{f.name: np.concatenate([getattr(r, f.name) for r in readings]) for f in fields(Fixations)})


def coverage(fixations: Fixations, inside: Bool[np.ndarray, " n"]) -> float:
    """Share of the fixation time for which `inside` is true, 0 to 1; NaN when the total time is 0."""
    total = fixations.total_s
    return float(fixations.duration_s[inside].sum() / total) if total > 0 else float("nan")
