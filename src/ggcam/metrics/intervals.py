"""How sure a number is: percentile bootstrap over patients, for any statistic that can weigh cases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from ggcam.metrics.classification import check_scores

WeightedStatistic = Callable[[Float[np.ndarray, "n r"]], Float[np.ndarray, " r"]]
"""Case weights, a column a resample -> the statistic of each resample; NaN where a resample does not define it."""

CHUNK_ELEMENTS = 500_000
"""Weights held at once. A few such arrays of float64 stay in the processor's cache and far below any memory limit."""


@dataclass(frozen=True)
class Interval:
    """A number and where it would lie for other patients.

    Attributes:
        value: the number on all cases; NaN when undefined.
        low: lower end; NaN when there are fewer than two patients or no resample defines the number.
        high: upper end, likewise.
        level: share of the resamples between the ends, such as 0.95.
        resamples: number of resamples that the ends rest on.
        dropped: number of further resamples that left the number undefined (a class was lost) and were left out.
    """

    value: float
    low: float
    high: float
    level: float
    resamples: int
    dropped: int = 0

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap_interval(
    statistic: WeightedStatistic,
    patients: Shaped[np.ndarray, " n"],
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> Interval:
    """Percentile interval of a statistic under drawing as many patients again, with all their cases, with replacement.

    The same seed, patients and number of resamples draw the same patients whatever the statistic.

    Args:
        statistic: from `weighted_macro_auroc`, `weighted_auroc` or `weighted_mean`, or any function of case weights.
        patients: shape (n,), the patient of each case: numbers or words.
        resamples: how many draws.
        level: share of the draws inside, 0 to 1.
        seed: of the draws, or the generator that makes them.

    Raises:
        ValueError: no cases, or a level or number of resamples that makes no interval.
    """
    if not len(patients):
        raise ValueError("there are no cases to resample")
    if not 0 < level < 1 or resamples < 1:
        raise ValueError(f"level must lie between 0 and 1 and resamples be positive, got {level} and {resamples}")
    value = float(statistic(np.ones((len(patients), 1)))[0])
    names, patient = np.unique(patients, return_inverse=True)
    if len(names) < 2 or np.isnan(value):
        return Interval(value, np.nan, np.nan, level, 0)
    rng = np.random.default_rng(seed)
    chunk = max(1, CHUNK_ELEMENTS // len(patients))
    draws = np.concatenate(
        [
            statistic(_patient_counts(len(names), min(chunk, resamples - start), rng)[patient])
            for start in range(0, resamples, chunk)
        ]
    )
    kept = draws[~np.isnan(draws)]
    if not len(kept):
        return Interval(value, np.nan, np.nan, level, 0, dropped=resamples)
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), level, len(kept), dropped=resamples - len(kept))


def paired_difference(
    statistic: WeightedStatistic,
    baseline: WeightedStatistic,
    patients: Shaped[np.ndarray, " n"],
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> Interval:
    """Interval of `statistic - baseline`, both of the same cases in the same order: each draw serves both.

    Arguments and errors are those of `bootstrap_interval`.
    """
    return bootstrap_interval(
        lambda weights: statistic(weights) - baseline(weights), patients, resamples=resamples, level=level, seed=seed
    )


def weighted_auroc(scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> WeightedStatistic:
    """AUROC of weighted cases, ties counting half; NaN for a resample without positives or without negatives.

    Integer weights give what repeating the cases would. Cost: O(n) a resample, after one sort.
    """
    negative_order = np.flatnonzero(~positive)[np.argsort(scores[~positive], kind="stable")]
    positives = np.flatnonzero(positive)
    below = np.searchsorted(scores[negative_order], scores[positives], side="left")
    up_to = np.searchsorted(scores[negative_order], scores[positives], side="right")

    def statistic(weights: Float[np.ndarray, "n r"]) -> Float[np.ndarray, " r"]:
        of_positives = weights[positives]
        # Row i: total weight of the i lowest negatives.
        lowest = np.zeros((len(negative_order) + 1, weights.shape[1]))
        np.cumsum(weights[negative_order], axis=0, out=lowest[1:])
        won = np.einsum("pr,pr->r", of_positives, lowest[below]) + np.einsum("pr,pr->r", of_positives, lowest[up_to])
        return _ratio(won / 2, of_positives.sum(axis=0) * lowest[-1])

    return statistic


def weighted_macro_auroc(probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> WeightedStatistic:
    """Macro AUROC, one against rest, of weighted cases.

    The mean goes over the classes that all cases together define; a resample that loses one of them gives NaN.

    Raises:
        ValueError: a probability is not finite, or a label is no column of `probabilities`.
    """
    check_scores(probabilities, labels)
    sizes = np.bincount(labels, minlength=probabilities.shape[1])
    defined = np.flatnonzero((sizes > 0) & (sizes < len(labels)))
    parts = [weighted_auroc(probabilities[:, k], labels == k) for k in defined]

    def statistic(weights: Float[np.ndarray, "n r"]) -> Float[np.ndarray, " r"]:
        total = sum((part(weights) for part in parts), np.zeros(weights.shape[1]))
        return total / len(parts) if parts else np.full(weights.shape[1], np.nan)

    return statistic


def weighted_mean(values: Shaped[np.ndarray, " n"]) -> WeightedStatistic:
    """Mean of a value per case, such as right or wrong (accuracy) or hit or missed (hit rate).

    NaN marks a case that the value does not apply to; it is left out. A resample of such cases alone gives NaN.
    """
    applies = ~np.isnan(values.astype(np.float64))
    known = np.where(applies, values, 0.0).astype(np.float64)

    def statistic(weights: Float[np.ndarray, "n r"]) -> Float[np.ndarray, " r"]:
        return _ratio(known @ weights, applies.astype(np.float64) @ weights)

    return statistic


def _patient_counts(patients: int, resamples: int, rng: np.random.Generator) -> Float[np.ndarray, "patients r"]:
    """How often each patient is drawn in each resample: multinomial columns that sum to `patients`."""
    drawn = rng.integers(0, patients, size=(resamples, patients))
    flat = (drawn + np.arange(resamples)[:, None] * patients).ravel()
    return np.bincount(flat, minlength=resamples * patients).reshape(resamples, patients).T.astype(np.float64)


def _ratio(above: Float[np.ndarray, " r"], below: Float[np.ndarray, " r"]) -> Float[np.ndarray, " r"]:
    """The quotient, NaN where the divisor is 0."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
