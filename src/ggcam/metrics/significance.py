"""Paired tests of the difference between two models or two arms of a study, and adjustment for multiple tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Shaped

from ggcam.metrics.bootstrap_statistics import WeightedStatistic
from ggcam.metrics.intervals import Interval, bootstrap_draws


@dataclass(frozen=True)
class Difference:
    """Difference between two models, with its interval and p-value.

    Attributes:
        interval: the difference and its interval.
        p_value: two-sided p-value; NaN without an interval.
    """

    interval: Interval
    p_value: float

    @classmethod
    def from_draws(cls, value: float, draws: Float[np.ndarray, " r"], level: float = 0.95) -> Difference:
        """Compute interval and p-value from resamples, as `paired_bootstrap_test` does.

        Args:
            value: the difference on all cases.
            draws: shape (r,), the difference on each resample.
            level: level of the interval, 0 to 1.

        Returns:
            The difference.
        """
        interval = Interval.from_draws(value, draws, level)
        if np.isnan(interval.low):
            return cls(interval, float("nan"))
        smaller_tail = min((draws <= 0).sum(), (draws >= 0).sum())
        return cls(interval, float(min(1.0, 2 * (smaller_tail + 1) / (interval.resamples + 1))))

    def __str__(self) -> str:
        return f"{self.interval}, p = {self.p_value:.3g}"


def paired_bootstrap_test(
    statistic: WeightedStatistic,
    baseline: WeightedStatistic,
    patients: Shaped[np.ndarray, " n"],
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> Difference:
    """Test whether two models differ on the same cases, by a bootstrap over patients.

    p is the smallest 1 - level whose percentile interval excludes zero (Efron and Tibshirani, 1993, section 15.4), so p
    < 0.05 and a 95 % interval that excludes zero are equivalent. p is at least 2 / (resamples + 1). The test is about
    other patients, not about other training runs: see `seed_test`.

    Args:
        statistic: function of case weights.
        baseline: function of case weights.
        patients: shape (n,), patient of each case: numbers or strings.
        resamples: number of resamples.
        level: level of the interval, 0 to 1.
        seed: seed of the resamples, or a generator.

    Returns:
        The difference `statistic - baseline`; its p-value is NaN with fewer than two patients.

    Raises:
        ValueError: there are no cases, or `level` or `resamples` is out of range.
    """

    def difference(weights: Float[np.ndarray, "n r"]) -> Float[np.ndarray, " r"]:
        return statistic(weights) - baseline(weights)

    draws = bootstrap_draws({"difference": difference}, patients, resamples=resamples, seed=seed)["difference"]
    return Difference.from_draws(float(difference(np.ones((len(patients), 1)))[0]), draws, level)


def seed_test(
    differences: Float[np.ndarray, " s"],
    method: Literal["sign-flip", "wilcoxon"] = "sign-flip",
    seed: int | np.random.Generator = 0,
) -> float:
    """Compute the two-sided p-value of the hypothesis that paired runs, one per seed, do not differ.

    The smallest p that s seeds can reach is 2^(1-s): 0.0625 for 5, and below 0.05 only from 6 on. Folds share training
    cases and are not independent: average over them before.

    Args:
        differences: shape (s,), difference of each seed.
        method: "sign-flip" is a permutation test of the mean, in which every difference may equally have the other
            sign; it evaluates all 2^s patterns up to 13 seeds, and 9,999 random ones beyond. "wilcoxon" tests signed
            ranks, without differences of 0.
        seed: seed of the random patterns, or a generator.

    Returns:
        0 to 1; 1 if all differences are 0; NaN without differences.

    Raises:
        ValueError: a difference is not finite.
    """
    from scipy.stats import permutation_test, wilcoxon

    if not np.isfinite(differences).all():
        raise ValueError(f"every difference must be finite, got {differences.tolist()}")
    if not len(differences):
        return float("nan")
    if not differences.any():
        return 1.0
    if method == "wilcoxon":
        found: Any = wilcoxon(differences[differences != 0])  # scipy's type for it has no attributes
        return float(found.pvalue)
    if len(differences) == 1:
        return 1.0  # with one difference, both sign patterns are equally extreme
    found: Any = permutation_test(
        (differences,),
        lambda sample, axis: sample.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9999,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def holm(p_values: Sequence[float] | Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Adjust p-values for their number (Holm, 1979).

    Args:
        p_values: the p-values; NaN is kept and does not count as a test.

    Returns:
        Adjusted p-values; those below 0.05 hold together with 95 % confidence.

    Raises:
        ValueError: a p-value is not between 0 and 1.
    """
    raw = np.asarray(p_values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(raw))
    if ((raw[known] < 0) | (raw[known] > 1)).any():
        raise ValueError(f"p-values lie between 0 and 1, got {raw.tolist()}")
    order = known[np.argsort(raw[known], kind="stable")]
    scaled = raw[order] * np.arange(len(order), 0, -1)
    adjusted = np.full(len(raw), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1)
    return adjusted
