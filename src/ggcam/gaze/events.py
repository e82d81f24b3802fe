"""Raw gaze samples -> fixations, by velocity (I-VT) or dispersion (I-DT), through pymovements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from ggcam.errors import ConfigError
from ggcam.gaze.fixations import Fixations

Method = Literal["ivt", "idt", "dwell"]

GAP_S = 0.075
"""Samples further apart than this are not of one fixation: a longer loss is a blink or a look aside."""

VELOCITY_WINDOW_S = 0.02
"""A velocity is measured over so long, so that at high sampling rates it is not that of the noise."""


@dataclass(frozen=True)
class FixationDetection:
    """How raw samples become fixations.

    Attributes:
        method: "ivt" joins neighbouring samples slower than a velocity, "idt" those within a dispersion (Salvucci and
            Goldberg, ETRA 2000); "dwell" takes each sample for itself, lasting until the next one is due.
        velocity_deg_per_s: below it the eye rests; degrees of visual angle per second.
        dispersion_deg: width and height together of the samples of one fixation, at most.
        minimum_s: shorter fixations are none.
    """

    method: Method = "ivt"
    velocity_deg_per_s: float = 30.0
    dispersion_deg: float = 1.0
    minimum_s: float = 0.06

    def __post_init__(self) -> None:
        for name in ("velocity_deg_per_s", "dispersion_deg", "minimum_s"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0", where=f"--{name.replace('_', '-')}")


def detect_fixations(
    time_s: Float[np.ndarray, " n"],
    x_px: Float[np.ndarray, " n"],
    y_px: Float[np.ndarray, " n"],
    px_per_degree: tuple[float, float],
    detection: FixationDetection,
) -> Fixations:
    """Find the fixations of one recording.

    A fixation lies at the mean of its samples, begins with the first and lasts until the sample after the last one is
    due. Samples between fixations are left out, except with "dwell".

    Args:
        time_s: of each sample, ascending.
        x_px: to the right; NaN where the eye was lost.
        y_px: downwards.
        px_per_degree: pixels per degree of visual angle, to the right and downwards; may be NaN for "dwell" alone.
        detection: the method and its thresholds.

    Returns:
        In order of time; none for no samples.

    Raises:
        ConfigError: the pixels per degree are needed and unknown.
        ValueError: the times do not ascend.
    """
    if (np.diff(time_s) < 0).any():
        raise ValueError("the times of the samples must ascend")
    seen = np.isfinite(x_px) & np.isfinite(y_px)
    time_s, x_px, y_px = time_s[seen], x_px[seen], y_px[seen]
    if not len(time_s):
        return Fixations.empty()
    interval_s = sample_interval_s(time_s)
    if detection.method == "dwell":
        return Fixations.build(x_px, y_px, interval_s, time_s, px_per_degree)
    if not np.isfinite(px_per_degree).all():
        raise ConfigError(
            f"{detection.method} needs the pixels per degree of visual angle",
            where="--px-per-degree",
            hint="give them, or take --detect dwell, which does without",
        )
    degrees = np.stack([x_px / px_per_degree[0], y_px / px_per_degree[1]], axis=1)
    found = [
        (begin + first, begin + last + 1)
        for begin, end in _runs(time_s, interval_s)
        for first, last in _fixations_of_run(time_s[begin:end], degrees[begin:end], interval_s, detection)
    ]
    return Fixations.build(
        [x_px[first:end].mean() for first, end in found],
        [y_px[first:end].mean() for first, end in found],
        [time_s[end - 1] - time_s[first] + interval_s for first, end in found],
        [time_s[first] for first, _ in found],
        px_per_degree,
    )


def sample_interval_s(time_s: Float[np.ndarray, " n"]) -> float:
    """Median time between neighbouring samples; 0 for fewer than two."""
    return float(np.median(np.diff(time_s))) if len(time_s) > 1 else 0.0


def _runs(time_s: Float[np.ndarray, " n"], interval_s: float) -> Iterator[tuple[int, int]]:
    """Begin and end of each stretch without a gap."""
    gaps = np.flatnonzero(np.diff(time_s) > max(GAP_S, 1.5 * interval_s)) + 1
    yield from zip([0, *gaps.tolist()], [*gaps.tolist(), len(time_s)], strict=True)


def _fixations_of_run(
    time_s: Float[np.ndarray, " n"], degrees: Float[np.ndarray, "n 2"], interval_s: float, detection: FixationDetection
) -> Iterator[tuple[int, int]]:
    """Numbers of the first and the last sample of each fixation long enough."""
    from pymovements.events import idt, ivt

    fewest = max(2, round(detection.minimum_s / interval_s)) if interval_s else 2
    if len(time_s) < fewest:
        return
    # Counted in samples, so that the small unevenness of real clocks is no obstacle to pymovements.
    if detection.method == "ivt":
        speed = _velocities(time_s, degrees, interval_s)
        events = ivt(speed, minimum_duration=1, velocity_threshold=detection.velocity_deg_per_s)
    else:
        events = idt(degrees, minimum_duration=fewest, dispersion_threshold=detection.dispersion_deg)
    for first, last in zip(events.frame["onset"].to_list(), events.frame["offset"].to_list(), strict=True):
        # pymovements' I-DT ends with the sample that broke the window's bound, unless the recording ended first.
        ended = last - (detection.method == "idt" and not _within(degrees[first : last + 1], detection.dispersion_deg))
        if time_s[ended] - time_s[first] + interval_s >= detection.minimum_s - 1e-9:
            yield first, ended


def _velocities(
    time_s: Float[np.ndarray, " n"], degrees: Float[np.ndarray, "n 2"], interval_s: float
) -> Float[np.ndarray, "n 2"]:
    half = max(1, round(VELOCITY_WINDOW_S / 2 / interval_s)) if interval_s else 1
    before = np.maximum(np.arange(len(time_s)) - half, 0)
    after = np.minimum(np.arange(len(time_s)) + half, len(time_s) - 1)
    elapsed = np.maximum(time_s[after] - time_s[before], 1e-9)
    return (degrees[after] - degrees[before]) / elapsed[:, None]


def _within(degrees: Float[np.ndarray, "n 2"], dispersion_deg: float) -> bool:
    return bool(np.ptp(degrees, axis=0).sum() <= dispersion_deg)
