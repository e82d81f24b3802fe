"""Whether two models, or two arms of a study, differ by more than chance: paired tests and a correction for many."""

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
    """How much better one is than the other.

    Attributes:
        interval: of the difference.
        p_value: two-sided, how likely a difference this far from 0 is where there is none; NaN without an interval.
    """

    interval: Interval
    p_value: float

    @classmethod
    def from_draws(cls, value: float, draws: Float[np.ndarray, " r"], level: float = 0.95) -> Difference:
        """A difference and its resamples, as `paired_bootstrap_test` has them."""
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
    """Compare two models on the same cases: does the interval of `paired_difference` hold zero, and how narrowly?

    p is the smallest 1 - level whose percentile interval holds no zero (Efron and Tibshirani, 1993, section 15.4), so
    p < 0.05 and a 95 % interval off zero are one statement. It is never below 2 / (resamples + 1). NaN with fewer than
    two patients. What it speaks of is other patients, not other trainings: see `seed_test`.

    Arguments and errors are those of `intervals.bootstrap_interval`.
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
    """Two-sided p-value that paired trainings, a seed each, differ by nothing.

    "sign-flip": permutation test of the mean; every difference is as likely to have the other sign. All 2^s patterns
    are tried up to 13 seeds, 9,999 random ones beyond. "wilcoxon": signed ranks, differences of 0 left out.
    The smallest p that s seeds can reach is 2^(1-s): 0.0625 for 5, below 0.05 only from 6 on. Five seeds that all
    agree are as much as five seeds can say. Folds share training cases and are not independent; average over them
    before.

    Args:
        differences: shape (s,), one value a seed.
        method: see above.
        seed: of the random patterns, or the generator that draws them.

    Returns:
        0 to 1; 1 when all differences are 0; NaN without any.

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
        return 1.0  # one sign has no pattern to stand out from
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
    """P-values adjusted for their number (Holm, 1979): those below 0.05 hold together with 95 % confidence.

    NaN stays NaN and does not count as a comparison.

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
