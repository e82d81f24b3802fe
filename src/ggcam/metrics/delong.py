"""DeLong's variance of AUROCs and of their differences: exactly reproducible and fast, without resampling.

The bootstrap of `intervals` handles any metric; this handles AUROCs of one class against the rest, by ranks as in Sun
and Xu (2014), with several cases per patient as in Obuchowski (1997).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped
from scipy.stats import norm, rankdata

from ggcam.metrics.intervals import Interval
from ggcam.metrics.significance import Difference


@dataclass(frozen=True, eq=False)
class DeLong:
    """AUROCs of several scores of the same cases, with their covariance.

    Attributes:
        auroc: shape (m,), 0 to 1; NaN without positives or negatives.
        covariance: shape (m, m), of the AUROCs; NaN with fewer than two patients with positives or with negatives.
    """

    auroc: Float[np.ndarray, " m"]
    covariance: Float[np.ndarray, "m m"]

    @classmethod
    def from_scores(
        cls,
        scores: Float[np.ndarray, "m n"],
        positive: Bool[np.ndarray, " n"],
        patients: Shaped[np.ndarray, " n"] | None = None,
    ) -> DeLong:
        """Compute the AUROCs of m scores of the same n cases.

        Args:
            scores: shape (m, n), finite, higher for positives.
            positive: shape (n,), whether each case is a positive.
            patients: shape (n,), patient of each case; None counts every case as a patient of its own, as in DeLong et
                al. (1988).

        Returns:
            AUROCs and covariance.

        Raises:
            ValueError: a score is not finite.
        """
        if not np.isfinite(scores).all():
            raise ValueError(f"{int((~np.isfinite(scores)).sum())} scores are not finite")
        of_positives, of_negatives = _placements(scores, positive)
        positives, negatives = of_positives.shape[1], of_negatives.shape[1]
        undefined = np.full((len(scores), len(scores)), np.nan)
        if not positives or not negatives:
            return cls(np.full(len(scores), np.nan), undefined)
        auroc = of_positives.mean(axis=1)
        names, patient = np.unique(np.arange(len(positive)) if patients is None else patients, return_inverse=True)
        with_positives, with_negatives = (len(np.unique(patient[rows])) for rows in (positive, ~positive))
        if min(with_positives, with_negatives) < 2:
            return cls(auroc, undefined)
        above = _sums_by(of_positives - auroc[:, None], patient[positive], len(names))
        below = _sums_by(of_negatives - auroc[:, None], patient[~positive], len(names))
        scale_p = with_positives / ((with_positives - 1) * positives**2)
        scale_n = with_negatives / ((with_negatives - 1) * negatives**2)
        # Zero unless a patient has both positive and negative cases.
        both = (above @ below.T) * (len(names) / ((len(names) - 1) * positives * negatives))
        return cls(auroc, scale_p * above @ above.T + scale_n * below @ below.T + both + both.T)

    def interval(self, which: int = 0, level: float = 0.95) -> Interval:
        """Compute the normal interval of one of the AUROCs, limited to 0 to 1.

        Args:
            which: index of the AUROC.
            level: level of the interval.

        Returns:
            The interval; its width is 0 if all positives score above all negatives.
        """
        value, error = float(self.auroc[which]), float(np.sqrt(max(self.covariance[which, which], 0.0)))
        half = norm.ppf((1 + level) / 2) * error
        return Interval(value, float(np.maximum(value - half, 0)), float(np.minimum(value + half, 1)), level, 0)

    def difference(self, which: int = 0, baseline: int = 1, level: float = 0.95) -> Difference:
        """Compute the difference `auroc[which] - auroc[baseline]`, with its normal interval and two-sided p-value.

        Args:
            which: index of the one AUROC.
            baseline: index of the other one.
            level: level of the interval.

        Returns:
            The difference; p is 1 for scores that rank all cases alike.
        """
        contrast = np.zeros(len(self.auroc))
        contrast[which] += 1
        contrast[baseline] -= 1
        value, variance = float(contrast @ self.auroc), float(contrast @ self.covariance @ contrast)
        # Rounding may leave a tiny variance of scores that do not differ.
        error = 0.0 if variance < 1e-15 else float(np.sqrt(variance))
        half = norm.ppf((1 + level) / 2) * error
        if error == 0:
            p_value = 1.0 if abs(value) < 1e-12 else 0.0
        else:
            p_value = float(2 * norm.sf(abs(value) / error))
        return Difference(Interval(value, float(value - half), float(value + half), level, 0), p_value)


def _placements(
    scores: Float[np.ndarray, "m n"], positive: Bool[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "m p"], Float[np.ndarray, "m q"]]:
    """Return the fraction of negatives below each positive, and of positives above each negative; ties count half."""
    positives, negatives = int(positive.sum()), int((~positive).sum())
    rank = rankdata(scores, axis=1)
    # The rank among all minus the rank among the same class counts the cases of the other class below.
    below = (rank[:, positive] - rankdata(scores[:, positive], axis=1)) / max(negatives, 1)
    above = 1 - (rank[:, ~positive] - rankdata(scores[:, ~positive], axis=1)) / max(positives, 1)
    return below, above


def _sums_by(values: Float[np.ndarray, "m n"], patient: Shaped[np.ndarray, " n"], patients: int) -> np.ndarray:
    """Return the sum of each row's values over the cases of each patient, shape (m, patients)."""
    return np.stack([np.bincount(patient, weights=row, minlength=patients) for row in values])
