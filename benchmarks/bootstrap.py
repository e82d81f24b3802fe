"""Resamples of a macro AUROC for its confidence interval, against scikit-learn in a loop; one thread each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from benchmarks.side_by_side import Result, race, threads
from ggcam.metrics.intervals import bootstrap_interval
from ggcam.metrics.threshold_statistics import weighted_macro_auroc

CASES, RESAMPLES, LOOPED = 999, 10_000, 20


def run(short: bool = False) -> Iterator[Result]:
    """Time the resamples of 999 cases of three classes, one patient each."""
    cases = 60 if short else CASES
    rng = np.random.default_rng(0)
    labels = np.arange(cases) % 3
    probabilities = softmax(rng.normal(size=(cases, 3)) + 0.8 * np.eye(3)[labels], axis=1)
    statistic, patients = weighted_macro_auroc(probabilities, labels), np.arange(cases)
    resamples = 100 if short else RESAMPLES

    def loop() -> None:
        for drawn in rng.integers(0, cases, size=(LOOPED, cases)):
            roc_auc_score(labels[drawn], probabilities[drawn], multi_class="ovr")

    with threads(1):
        yield race(
            f"a resample of the macro AUROC of {cases} cases",
            lambda: bootstrap_interval(statistic, patients, resamples=resamples),
            "scikit-learn, resample by resample",
            loop,
            cases=resamples,
            other_cases=LOOPED,
            rounds=1 if short else 5,
            target=20.0,
        )
