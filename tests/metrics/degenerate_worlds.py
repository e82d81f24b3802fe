"""Inputs of `test_degenerate`: a sane one, and degenerate versions of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np

from ggcam.metrics import agreement

CASES, GRID = 6, (4, 3)


@dataclass(frozen=True, eq=False)
class World:
    """A few cases with every input that a metric may need."""

    probabilities: np.ndarray
    labels: np.ndarray
    multilabel: np.ndarray
    patients: np.ndarray
    cam: np.ndarray
    truth: np.ndarray
    gaze: np.ndarray
    fixations: np.ndarray

    @property
    def positive(self) -> np.ndarray:
        return self.labels == 1

    @property
    def readings(self) -> agreement.GazeMaps:
        return agreement.GazeMaps.from_maps(self.gaze, self.fixations, self.patients)

    @property
    def top(self) -> tuple[np.ndarray, np.ndarray]:
        return self.probabilities.max(axis=1), self.probabilities.argmax(axis=1) == self.labels

    def weighted(self, statistic: Callable) -> np.ndarray:
        return statistic(np.ones((len(self.labels), 2)))


def sane_world() -> World:
    rng = np.random.default_rng(0)
    p = rng.random((CASES, 3))
    truth = np.zeros((CASES, *GRID), dtype=bool)
    truth[:, 1:3, 1] = True
    fixations = rng.integers(0, 3, size=(CASES, *GRID)).astype(float)
    return World(
        probabilities=p / p.sum(axis=1, keepdims=True),
        labels=np.arange(CASES) % 3,
        multilabel=(rng.permuted(np.resize([0.0, 1.0], (3, CASES)), axis=1)).T,
        patients=np.array([f"p{i}" for i in range(CASES)]),
        cam=rng.normal(size=(CASES, *GRID)),
        truth=truth,
        gaze=fixations / fixations.sum(axis=(1, 2), keepdims=True),
        fixations=fixations,
    )


def worlds() -> dict[str, World]:
    sane = sane_world()
    broken_cam, broken_gaze = sane.cam.copy(), sane.gaze.copy()
    broken_cam[0, 0, 0] = broken_gaze[0, 0, 0] = np.nan
    return {
        "sane": sane,
        "one class": replace(sane, labels=np.ones(CASES, dtype=np.int64), multilabel=np.ones((CASES, 3))),
        "one patient": replace(sane, patients=np.array(["p"] * CASES)),
        "constant": replace(sane, cam=np.full((CASES, *GRID), 0.5), probabilities=np.full((CASES, 3), 1 / 3)),
        "nothing seen": replace(sane, gaze=0 * sane.gaze, fixations=0 * sane.fixations, truth=sane.truth & False),
        "NaN": replace(
            sane, probabilities=np.where(np.arange(CASES)[:, None] == 2, np.nan, sane.probabilities), cam=broken_cam
        ),
        "NaN gaze": replace(sane, gaze=broken_gaze, fixations=broken_gaze),
        "no case": World(**{f.name: getattr(sane, f.name)[:0] for f in fields(sane)}),
    }
