"""Confidence intervals: percentile bootstrap over patients, for any statistic of case weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from ggcam.metrics.bootstrap_statistics import WeightedCurve, WeightedStatistic

RESAMPLES = 2000
"""Number of resamples behind every interval of metrics.json, every band of a chart and every interval of a study."""

CHUNK_ELEMENTS = 500_000
"""Number of weights held at once: a few such arrays of float64 stay in the processor's cache."""


MAX_UNDEFINED = 0.1
"""Largest fraction of resamples that may leave a number undefined. It is exceeded if a class has one or two patients;
the other resamples, all of which contain them, would give an interval that is too narrow and off the number."""


@dataclass(frozen=True)
class Interval:
    """A number with its confidence interval for other patients.

    Attributes:
        value: the number on all cases; NaN if undefined.
        low: lower end; NaN with fewer than two patients, or if more than a tenth of the resamples leave the number
            undefined.
        high: upper end, likewise.
        level: fraction of the resamples between the ends, such as 0.95.
        resamples: number of resamples behind the ends; 0 without ends.
        dropped: number of resamples that left the number undefined, for want of a class for example.
    """

    value: float
    low: float
    high: float
    level: float
    resamples: int
    dropped: int = 0

    @classmethod
    def from_draws(cls, value: float, draws: Float[np.ndarray, " r"], level: float) -> Interval:
        """Compute the percentile interval; resamples that do not define the number are left out.

        Args:
            value: the number on all cases.
            draws: shape (r,), the number on each resample; NaN where undefined.
            level: level of the interval, 0 to 1.

        Returns:
            The interval.

        Raises:
            ValueError: the level is out of range.
        """
        if not 0 < level < 1:
            raise ValueError(f"level must lie between 0 and 1, got {level}")
        kept = draws[~np.isnan(draws)]
        dropped = len(draws) - len(kept)
        if not len(kept) or np.isnan(value) or dropped > MAX_UNDEFINED * len(draws):
            return cls(value, np.nan, np.nan, level, 0, dropped)
        low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
        return cls(value, float(low), float(high), level, len(kept), dropped)

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
    """Compute the percentile interval of a statistic, resampling patients, with all their cases, with replacement.

    The same seed, patients and number of resamples draw the same patients for any statistic.

    Args:
        statistic: function of case weights, such as those of `bootstrap_statistics`.
        patients: shape (n,), patient of each case: numbers or strings.
        resamples: number of resamples.
        level: level of the interval, 0 to 1.
        seed: seed of the resamples, or a generator.

    Returns:
        The interval.

    Raises:
        ValueError: there are no cases, or `level` or `resamples` is out of range.
    """
    alone = {"statistic": statistic}
    return bootstrap_intervals(alone, patients, resamples=resamples, level=level, seed=seed)["statistic"]


def bootstrap_intervals(
    statistics: Mapping[str, WeightedStatistic],
    patients: Shaped[np.ndarray, " n"],
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> dict[str, Interval]:
    """Compute the intervals of several statistics of the same cases from shared resamples, see `bootstrap_interval`.

    Args:
        statistics: name -> function of case weights.
        patients: shape (n,), patient of each case: numbers or strings.
        resamples: number of resamples.
        level: level of the interval, 0 to 1.
        seed: seed of the resamples, or a generator.

    Returns:
        Name -> interval.

    Raises:
        ValueError: there are no cases, or `level` or `resamples` is out of range.
    """
    draws = bootstrap_draws(statistics, patients, resamples=resamples, seed=seed)
    all_cases = np.ones((len(patients), 1))
    return {
        name: Interval.from_draws(float(statistics[name](all_cases)[0]), found, level) for name, found in draws.items()
    }


def bootstrap_draws(
    statistics: Mapping[str, WeightedStatistic] | Mapping[str, WeightedCurve],
    patients: Shaped[np.ndarray, " n"],
    *,
    resamples: int = 10_000,
    seed: int | np.random.Generator = 0,
) -> dict[str, Float[np.ndarray, "_ ..."]]:
    """Evaluate statistics or curves on resamples of patients.

    Args:
        statistics: name -> function of case weights.
        patients: shape (n,), patient of each case: numbers or strings.
        resamples: number of resamples.
        seed: seed of the resamples, or a generator.

    Returns:
        Name -> values, one row per resample, NaN where undefined; no rows with fewer than two patients.

    Raises:
        ValueError: there are no cases or no resamples.
    """
    if not len(patients):
        raise ValueError("there are no cases to resample")
    if resamples < 1:
        raise ValueError(f"resamples must be positive, got {resamples}")
    names, patient = np.unique(patients, return_inverse=True)
    if len(names) < 2:
        return {name: np.empty(0) for name in statistics}
    rng = np.random.default_rng(seed)
    chunk = max(1, CHUNK_ELEMENTS // len(patients))
    draws: dict[str, list[np.ndarray]] = {name: [] for name in statistics}
    for start in range(0, resamples, chunk):
        weights = _patient_counts(len(names), min(chunk, resamples - start), rng)[patient]
        for name, statistic in statistics.items():
            draws[name].append(statistic(weights))
    return {name: np.concatenate(parts) for name, parts in draws.items()}


def resampled_seeds(draws: Float[np.ndarray, "s r"], seed: int | np.random.Generator = 0) -> Float[np.ndarray, " r"]:
    """Average a metric over runs, one per seed, in each resample of patients, with the seeds resampled as well.

    `bootstrap_draws` says how a metric varies with other patients for these very runs; this adds how it varies with
    other runs. One seed fewer than there are is drawn, with replacement, because drawing as many would underestimate
    the variance between few seeds by a factor of 1 - 1/s (Rao and Wu, 1988). Few seeds remain few: percentiles do not
    correct as Student's t does, so a nominal 95 % are about 86 % with five seeds, if most of the spread is between
    them.

    Args:
        draws: shape (s, r), metric of the run of each seed in the same resamples of patients.
        seed: seed of the resampling of seeds, or a generator.

    Returns:
        Shape (r,); NaN in a resample in which the metric of a drawn seed is NaN, and throughout with fewer than two
        seeds.
    """
    seeds, resamples = draws.shape
    if seeds < 2:
        return np.full(resamples, np.nan)
    drawn = np.random.default_rng(seed).integers(0, seeds, size=(seeds - 1, resamples))
    return np.take_along_axis(draws, drawn, axis=0).mean(axis=0)


def _patient_counts(patients: int, resamples: int, rng: np.random.Generator) -> Float[np.ndarray, "patients r"]:
    """Return how often each patient is drawn in each resample; columns sum to `patients`."""
    drawn = rng.integers(0, patients, size=(resamples, patients))
    flat = (drawn + np.arange(resamples)[:, None] * patients).ravel()
    return np.bincount(flat, minlength=resamples * patients).reshape(resamples, patients).T.astype(np.float64)
