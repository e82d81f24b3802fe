"""Which values are typical of a sample, and how far others lie outside: ranges, limits, out-of-fold scores."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped


class TypicalRange(NamedTuple):
    """The middle 90% of the values of each of s statistics.

    Attributes:
        low: shape (s,), 5% quantile.
        median: shape (s,), 50% quantile.
        high: shape (s,), 95% quantile.
    """

    low: Float[np.ndarray, " s"]
    median: Float[np.ndarray, " s"]
    high: Float[np.ndarray, " s"]


def typical_range(values: Float[np.ndarray, "n s"], min_width: Float[np.ndarray, " s"]) -> TypicalRange:
    """Find the range of typical values.

    Args:
        values: shape (n, s), n >= 1; a statistic that is NaN for some case is NaN in the range.
        min_width: shape (s,), smallest distance of `low` and `high` from the median: where all cases are equal, the
            next one may still differ a little.

    Returns:
        The range.
    """
    low, median, high = np.quantile(values, (0.05, 0.5, 0.95), axis=0)
    return TypicalRange(np.minimum(low, median - min_width), median, np.maximum(high, median + min_width))


def deviation(values: Float[np.ndarray, "n s"], typical: TypicalRange) -> Float[np.ndarray, "n s"]:
    """Measure how far values lie from the median, in units of the range on that side.

    Args:
        values: shape (n, s).
        typical: the range of typical values.

    Returns:
        Shape (n, s): 0 at the median, 1 at the upper and -1 at the lower end of the range; NaN where the range is.
    """
    distance = values - typical.median
    return np.where(distance > 0, distance / (typical.high - typical.median), distance / (typical.median - typical.low))


def score_limit(scores: Float[np.ndarray, " n"], rate: float) -> float:
    """Return the limit that a new score exceeds at most at a given rate (split conformal prediction).

    The limit is the k-th smallest score with k = ceil((n + 1) (1 - rate)); with few scores the largest one, which a new
    score exceeds with a probability of at most 1 / (n + 1). Vovk, Gammerman and Shafer, "Algorithmic Learning in a
    Random World" (2005), chapter 2.

    Args:
        scores: shape (n,), n >= 1, exchangeable with the new one.
        rate: between 0 and 1.

    Returns:
        The limit.

    Example:
        >>> score_limit(np.arange(1.0, 200.0), rate=0.01)
        198.0
    """
    count = len(scores)
    position = min(count, math.ceil((count + 1) * (1 - rate) - 1e-9))
    return float(np.partition(scores, position - 1)[position - 1])


def out_of_fold_scores(
    count: int,
    groups: Shaped[np.ndarray, " n"],
    fit_and_score: Callable[[Int[np.ndarray, " fitted"], Int[np.ndarray, " scored"]], Float[np.ndarray, "scored ..."]],
    folds: int = 5,
    seed: int = 0,
) -> Float[np.ndarray, "n ..."]:
    """Score each case by a reference that was fitted without the cases of its group.

    Args:
        count: number of cases, n.
        groups: shape (n,), the group of each case, such as its patient.
        fit_and_score: called with the rows to fit and the rows to score; returns one or more scores of each of the
            latter.
        folds: number of folds.
        seed: random seed of the folds.

    Returns:
        The scores of all cases. With a single group the cases are scored by a reference that was fitted to them.
    """
    names, group = np.unique(groups, return_inverse=True)
    fold = np.random.default_rng(seed).permutation(len(names))[group] % folds
    rows = np.arange(count)
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    for number in np.unique(fold):
        held_out: Bool[np.ndarray, " n"] = fold == number
        fitted = rows if held_out.all() else rows[~held_out]
        parts.append((rows[held_out], fit_and_score(fitted, rows[held_out])))
    order, scores = (np.concatenate(each) for each in zip(*parts, strict=True))
    return scores[np.argsort(order)]
