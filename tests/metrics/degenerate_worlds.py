"""Cases for `test_degenerate`: sound ones, and the same with hardly anything left in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np

from ggcam.metrics import agreement

N, GRID = 6, (4, 3)


@dataclass(frozen=True, eq=False)
class World:
    """A handful of cases with everything that a metric may ask for."""

    p: np.ndarray
    y: np.ndarray
    several: np.ndarray
    patients: np.ndarray
    cam: np.ndarray
    truth: np.ndarray
    gaze: np.ndarray
    fixations: np.ndarray

    @property
    def positive(self) -> np.ndarray:
        return self.y == 1

    @property
    def readings(self) -> agreement.GazeMaps:
        return agreement.GazeMaps.from_maps(self.gaze, self.fixations, self.patients)

    @property
    def top(self) -> tuple[np.ndarray, np.ndarray]:
        return self.p.max(axis=1), self.p.argmax(axis=1) == self.y

    def weighted(self, statistic: Callable) -> np.ndarray:
        return statistic(np.ones((len(self.y), 2)))


def sane() -> World:
    rng = np.random.default_rng(0)
    p = rng.random((N, 3))
    truth = np.zeros((N, *GRID), dtype=bool)
    truth[:, 1:3, 1] = True
    fixations = rng.integers(0, 3, size=(N, *GRID)).astype(float)
    return World(
        p=p / p.sum(axis=1, keepdims=True),
        y=np.arange(N) % 3,
        several=(rng.permuted(np.resize([0.0, 1.0], (3, N)), axis=1)).T,
        patients=np.array([f"p{i}" for i in range(N)]),
        cam=rng.normal(size=(N, *GRID)),
        truth=truth,
        gaze=fixations / fixations.sum(axis=(1, 2), keepdims=True),
        fixations=fixations,
    )


def worlds() -> dict[str, World]:
    sound = sane()
    broken_cam, broken_gaze = sound.cam.copy(), sound.gaze.copy()
    broken_cam[0, 0, 0] = broken_gaze[0, 0, 0] = np.nan
    return {
        "sane": sound,
        "one class": replace(sound, y=np.ones(N, dtype=np.int64), several=np.ones((N, 3))),
        "one patient": replace(sound, patients=np.array(["p"] * N)),
        "constant": replace(sound, cam=np.full((N, *GRID), 0.5), p=np.full((N, 3), 1 / 3)),
        "nothing seen": replace(sound, gaze=0 * sound.gaze, fixations=0 * sound.fixations, truth=sound.truth & False),
        "NaN": replace(sound, p=np.where(np.arange(N)[:, None] == 2, np.nan, sound.p), cam=broken_cam),
        "NaN gaze": replace(sound, gaze=broken_gaze, fixations=broken_gaze),
        "no case": World(**{f.name: getattr(sound, f.name)[:0] for f in fields(sound)}),
    }
