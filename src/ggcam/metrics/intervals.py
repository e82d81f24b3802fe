"""How sure a number is: percentile bootstrap over patients, for any statistic that can weigh cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from ggcam.metrics.bootstrap_statistics import WeightedCurve, WeightedStatistic

CHUNK_ELEMENTS = 500_000
"""Weights held at once. A few such arrays of float64 stay in the processor's cache and far below any memory limit."""


MAX_UNDEFINED = 0.1
"""Share of resamples that may leave a number undefined. More do where a class has one or two patients; the others, in
which these always are, would make an interval that is too narrow, and beside the number."""


@dataclass(frozen=True)
class Interval:
    """A number and where it would lie for other patients.

    Attributes:
        value: the number on all cases; NaN when undefined.
        low: lower end; NaN when there are fewer than two patients, or when more than a tenth of the resamples leave the
            number undefined.
        high: upper end, likewise.
        level: share of the resamples between the ends, such as 0.95.
        resamples: number of resamples that the ends rest on; 0 without any ends.
        dropped: number of resamples that left the number undefined (a class was lost).
    """

    value: float
    low: float
    high: float
    level: float
    resamples: int
    dropped: int = 0

    @classmethod
    def from_draws(cls, value: float, draws: Float[np.ndarray, " r"], level: float) -> Interval:
        """The percentile interval of a number's resamples, those left out that do not define it.

        Raises:
            ValueError: the level makes no interval.
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
    """Percentile interval of a statistic under drawing as many patients again, with all their cases, with replacement.

    The same seed, patients and number of resamples draw the same patients whatever the statistic.

    Args:
        statistic: any function of case weights, such as those of `weighted`.
        patients: shape (n,), the patient of each case: numbers or words.
        resamples: how many draws.
        level: share of the draws inside, 0 to 1.
        seed: of the draws, or the generator that makes them.

    Raises:
        ValueError: no cases, or a level or number of resamples that makes no interval.
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
    """The interval of each of several statistics of the same cases, as `bootstrap_interval` has it, from shared draws.

    Arguments and errors are those of `bootstrap_interval`.
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
    """Each statistic, or curve, of each resample of patients, NaN where undefined; none of fewer than two patients.

    Raises:
        ValueError: no cases, or no resamples.
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


def resampled_seeds(draws: Float[np.ndarray, "s r"], seed: int | np.random.Generator = 0) -> Float[np.ndarray, " r"]:
    """Mean over trainings, a seed each, in each resample of patients, the seeds drawn anew as well; shape (r,).

    What the draws of `bootstrap_draws` lack: they speak of other patients under these very trainings, these of other
    patients and other trainings. One seed less than there are is drawn, with replacement, for as many would make the
    variance between few seeds too small by a share of 1/s (Rao and Wu, 1988). Few seeds remain few: percentiles know
    nothing of Student's t, so that with five of them, and most of the spread between them, a nominal 95 % are about 86.

    Args:
        draws: shape (s, r), a metric of each seed's training in the same resamples of patients.
        seed: of the drawing of seeds, or the generator that does it.

    Returns:
        NaN in a resample in which a drawn seed's metric is NaN, and throughout where there are fewer than two seeds.
    """
    seeds, resamples = draws.shape
    if seeds < 2:
        return np.full(resamples, np.nan)
    drawn = np.random.default_rng(seed).integers(0, seeds, size=(seeds - 1, resamples))
    return np.take_along_axis(draws, drawn, axis=0).mean(axis=0)


def _patient_counts(patients: int, resamples: int, rng: np.random.Generator) -> Float[np.ndarray, "patients r"]:
    """How often each patient is drawn in each resample: multinomial columns that sum to `patients`."""
    drawn = rng.integers(0, patients, size=(resamples, patients))
    flat = (drawn + np.arange(resamples)[:, None] * patients).ravel()
    return np.bincount(flat, minlength=resamples * patients).reshape(resamples, patients).T.astype(np.float64)
