"""Order and ties: what every area under a curve of thresholds needs, and what is easily got wrong."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def check_ordered(scores: Float[np.ndarray, " n"]) -> None:
    """Raise ValueError where a score is NaN, which is neither above nor below another."""
    bad = np.flatnonzero(np.isnan(scores))
    if len(bad):
        raise ValueError(f"{len(bad)} of {len(scores)} scores are NaN; the first is that of case {bad[0]}")


def tie_ends(ordered: Float[np.ndarray, "n k"]) -> tuple[Int[np.ndarray, "n k"], Int[np.ndarray, "n k"]]:
    """First and last place, within its row, of the run of equal values that each value belongs to.

    Args:
        ordered: shape (n, k), each row sorted, upwards or downwards.
    """
    places = np.arange(ordered.shape[1])
    starts = np.ones(ordered.shape, dtype=bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    ends = np.ones(ordered.shape, dtype=bool)
    ends[:, :-1] = starts[:, 1:]
    first = np.maximum.accumulate(np.where(starts, places, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, places, ordered.shape[1])[:, ::-1], axis=1)[:, ::-1]
    return first, last
