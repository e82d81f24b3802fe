"""Scores and their order: checks of scores, and runs of equal ones, which every curve of thresholds needs."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def check_ordered(scores: Float[np.ndarray, " n"]) -> None:
    """Check that no score is NaN, which is neither above nor below another one.

    Args:
        scores: shape (n,).

    Raises:
        ValueError: a score is NaN.
    """
    bad = np.flatnonzero(np.isnan(scores))
    if len(bad):
        raise ValueError(f"{len(bad)} of {len(scores)} scores are NaN; the first is that of case {bad[0]}")


def check_scores(scores: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> None:
    """Check the arguments of a metric of one class per case.

    Args:
        scores: shape (n, k).
        labels: shape (n,), class index of each case.

    Raises:
        ValueError: there are no cases, a score is not finite, or a label is not a column of the scores.
    """
    if not len(labels):
        raise ValueError("there are no cases")
    bad = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{len(bad)} of {len(labels)} cases have a score that is not finite; the first is case {bad[0]}"
        )
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise ValueError(f"labels run from {labels.min()} to {labels.max()}, the scores have {scores.shape[1]} classes")


def check_labels(scores: Float[np.ndarray, "n k"], labels: Float[np.ndarray, "n k"]) -> None:
    """Check the arguments of a metric of several labels.

    Args:
        scores: shape (n, k), higher for cases that have the label.
        labels: shape (n, k), 1, 0 or NaN (unknown).

    Raises:
        ValueError: there are no cases, a score is not finite, or a label is not 1, 0 or NaN.
    """
    if not len(labels):
        raise ValueError("there are no cases")
    if not np.isfinite(scores).all():
        raise ValueError(f"{int((~np.isfinite(scores)).sum())} scores are not finite")
    invalid = labels[~np.isnan(labels) & (labels != 0) & (labels != 1)]
    if len(invalid):
        raise ValueError(f"a label must be 1, 0 or NaN, got {invalid[0]}")


def tie_ends(ordered: Float[np.ndarray, "n k"]) -> tuple[Int[np.ndarray, "n k"], Int[np.ndarray, "n k"]]:
    """Return the first and last position, within its row, of the run of equal values that each value belongs to.

    Args:
        ordered: shape (n, k), each row sorted, ascending or descending.

    Returns:
        First and last positions, shape (n, k) each.
    """
    places = np.arange(ordered.shape[1])
    starts = np.ones(ordered.shape, dtype=bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    ends = np.ones(ordered.shape, dtype=bool)
    ends[:, :-1] = starts[:, 1:]
    first = np.maximum.accumulate(np.where(starts, places, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, places, ordered.shape[1])[:, ::-1], axis=1)[:, ::-1]
    return first, last
