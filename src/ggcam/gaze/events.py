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
"""Longest gap between two samples of one fixation; a longer loss of the eye is a blink or a look off the screen."""

VELOCITY_WINDOW_S = 0.02
"""Time span of a velocity estimate. It keeps the noise of high sampling rates out of the velocity."""


@dataclass(frozen=True)
class FixationDetection:
    """Method and thresholds for turning raw gaze samples into fixations.

    Attributes:
        method: "ivt" joins neighbouring samples below a velocity threshold, "idt" joins those within a dispersion
            threshold (Salvucci and Goldberg, ETRA 2000), "dwell" keeps each sample as a fixation of one sampling
            interval.
        velocity_deg_per_s: velocity below which the eye is at rest, in degrees of visual angle per second (ivt).
        dispersion_deg: maximum of width plus height of the samples of one fixation, in degrees (idt).
        minimum_s: minimum duration of a fixation in seconds; shorter ones are dropped (ivt, idt).
    """

    method: Method = "ivt"
    velocity_deg_per_s: float = 30.0
    dispersion_deg: float = 1.0
    minimum_s: float = 0.06

    def __post_init__(self) -> None:
        for name in ("velocity_deg_per_s", "dispersion_deg", "minimum_s"):
            if not getattr(self, name) > 0:
                raise ConfigError(
                    f"{name} must be above 0", where=f"--{name.replace('_', '-')}", got=getattr(self, name)
                )


def detect_fixations(
    time_s: Float[np.ndarray, " n"],
    x_px: Float[np.ndarray, " n"],
    y_px: Float[np.ndarray, " n"],
    px_per_degree: tuple[float, float],
    detection: FixationDetection,
) -> Fixations:
    """Detect the fixations of one recording.

    A fixation lies at the mean of its samples, starts with the first one and ends one sampling interval after the last
    one. Samples between fixations are left out, except with "dwell".

    Args:
        time_s: time of each sample in seconds, ascending.
        x_px: horizontal position of each sample in pixels; NaN where the eye was lost.
        y_px: vertical position of each sample in pixels, downwards; NaN where the eye was lost.
        px_per_degree: pixels per degree of visual angle along x and y; may be NaN only with "dwell".
        detection: method and thresholds.

    Returns:
        Fixations in order of time; zero fixations for zero samples.

    Raises:
        ConfigError: the method needs the pixels per degree and they are unknown.
        ValueError: the times do not ascend.

    Example:
        >>> rest = np.full(12, 50.0)
        >>> found = detect_fixations(np.arange(12) / 60, rest, rest, (40.0, 40.0), FixationDetection("idt"))
        >>> len(found), round(found.total_s, 3)
        (1, 0.2)
    """
    if (np.diff(time_s) < 0).any():
        raise ValueError("time_s must ascend")
    valid = np.isfinite(x_px) & np.isfinite(y_px)
    time_s, x_px, y_px = time_s[valid], x_px[valid], y_px[valid]
    if not len(time_s):
        return Fixations.empty()
    interval_s = sample_interval_s(time_s)
    if detection.method == "dwell":
        return Fixations.build(x_px, y_px, interval_s, time_s, px_per_degree)
    if not np.isfinite(px_per_degree).all():
        raise ConfigError(
            f"{detection.method} needs the pixels per degree of visual angle",
            where="--px-per-degree",
            hint="pass them, or use --detect dwell, which does not need them",
        )
    degrees = np.stack([x_px / px_per_degree[0], y_px / px_per_degree[1]], axis=1)
    found = [
        (begin + first, begin + last + 1)
        for begin, end in _gapless_stretches(time_s, interval_s)
        for first, last in _fixations_in(time_s[begin:end], degrees[begin:end], interval_s, detection)
    ]
    return Fixations.build(
        [x_px[first:end].mean() for first, end in found],
        [y_px[first:end].mean() for first, end in found],
        [time_s[end - 1] - time_s[first] + interval_s for first, end in found],
        [time_s[first] for first, _ in found],
        px_per_degree,
    )


def sample_interval_s(time_s: Float[np.ndarray, " n"]) -> float:
    """Compute the median time between neighbouring samples.

    Args:
        time_s: time of each sample in seconds, ascending.

    Returns:
        Seconds; 0 for fewer than two samples.
    """
    return float(np.median(np.diff(time_s))) if len(time_s) > 1 else 0.0


def _gapless_stretches(time_s: Float[np.ndarray, " n"], interval_s: float) -> Iterator[tuple[int, int]]:
    """Yield the start and end index of each stretch without a gap."""
    gaps = np.flatnonzero(np.diff(time_s) > max(GAP_S, 1.5 * interval_s)) + 1
    yield from zip([0, *gaps.tolist()], [*gaps.tolist(), len(time_s)], strict=True)


def _fixations_in(
    time_s: Float[np.ndarray, " n"], degrees: Float[np.ndarray, "n 2"], interval_s: float, detection: FixationDetection
) -> Iterator[tuple[int, int]]:
    """Yield the indices of the first and last sample of each fixation that is long enough."""
    from pymovements.events import idt, ivt

    min_samples = max(2, round(detection.minimum_s / interval_s)) if interval_s else 2
    if len(time_s) < min_samples:
        return
    # Durations in samples: pymovements does not accept the small jitter of real clocks.
    if detection.method == "ivt":
        speed = _velocities(time_s, degrees, interval_s)
        events = ivt(speed, minimum_duration=1, velocity_threshold=detection.velocity_deg_per_s)
    else:
        events = idt(degrees, minimum_duration=min_samples, dispersion_threshold=detection.dispersion_deg)
    for first, last in zip(events.frame["onset"].to_list(), events.frame["offset"].to_list(), strict=True):
        # pymovements' I-DT includes the sample that exceeded the dispersion, unless the recording ended first.
        end = last - (
            detection.method == "idt" and not _within_dispersion(degrees[first : last + 1], detection.dispersion_deg)
        )
        if time_s[end] - time_s[first] + interval_s >= detection.minimum_s - 1e-9:
            yield first, end


def _velocities(
    time_s: Float[np.ndarray, " n"], degrees: Float[np.ndarray, "n 2"], interval_s: float
) -> Float[np.ndarray, "n 2"]:
    half = max(1, round(VELOCITY_WINDOW_S / 2 / interval_s)) if interval_s else 1
    before = np.maximum(np.arange(len(time_s)) - half, 0)
    after = np.minimum(np.arange(len(time_s)) + half, len(time_s) - 1)
    elapsed = np.maximum(time_s[after] - time_s[before], 1e-9)
    return (degrees[after] - degrees[before]) / elapsed[:, None]


def _within_dispersion(degrees: Float[np.ndarray, "n 2"], dispersion_deg: float) -> bool:
    return bool(np.ptp(degrees, axis=0).sum() <= dispersion_deg)
