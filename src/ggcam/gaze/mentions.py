"""Mentions of findings in a dictation, and how much they say about each fixation: by its time, and by its place.

Readers look before they speak, so the fixations shortly before a mention are likely to belong to it; and what they say
("left", "basal") tells where they looked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

Column = Float[np.ndarray, " n"]

Side = Literal["", "left", "right", "both"]
"""The patient's side, as a reader says it; "" where the dictation does not tell."""

Height = Literal["", "upper", "middle", "lower"]
"""Part of the lungs, as a reader says it; "" where the dictation names none or several."""

SIDES: tuple[Side, ...] = ("", "left", "right", "both")
HEIGHTS: tuple[Height, ...] = ("", "upper", "middle", "lower")

LAG_S, WIDTH_S = 3.0, 1.5
"""Fixations up to `LAG_S` seconds before a mention have full weight; before that and after it, the weight falls like a
Gaussian with this standard deviation. Chosen on simulated readings, see docs/label-gaze.md."""

MIN_TIME_WEIGHT = 0.02
"""Weight of a fixation at any other time: it is unlikely to belong to the mention, not impossible."""

EDGE_SOFTNESS = 0.05
"""Width of the soft edge of an area, as a fraction of the side of the chest."""

MIN_WORD_WEIGHT = 0.02
"""Weight of a place that the words exclude: readers confuse the sides now and then."""

_HEIGHT_RANGES = {"upper": (-np.inf, 0.5), "middle": (0.25, 0.75), "lower": (0.5, np.inf)}


@dataclass(frozen=True)
class Mention:
    """A place in a dictation where a finding is named.

    Attributes:
        finding: name of the finding.
        start_s: start of the first word, in seconds.
        end_s: end of the last word, in seconds.
        side: side of the patient that the sentence names; "both" for both.
        height: part of the lungs that the sentence names; "" for none or several.
    """

    finding: str
    start_s: float
    end_s: float
    side: Side = ""
    height: Height = ""


def time_weights(
    start_s: Column, end_s: Column, mention: Mention, lag_s: float = LAG_S, width_s: float = WIDTH_S
) -> Column:
    """Weight fixations by their time relative to a mention.

    Args:
        start_s: start of each fixation, on the clock of the mention; NaN where unknown.
        end_s: end of each fixation.
        mention: the mention.
        lag_s: time before the start of the mention in which fixations have full weight, in seconds.
        width_s: standard deviation of the Gaussian by which the weight falls outside, in seconds.

    Returns:
        Weights from `MIN_TIME_WEIGHT` to 1, shape (n,); 1 where the time is unknown.

    Example:
        >>> start_s = np.array([0.0, 9.0, 10.2, 30.0])
        >>> time_weights(start_s, start_s + 0.2, Mention("edema", 10.0, 11.0), lag_s=2.0, width_s=1.5).round(2)
        array([0.02, 1.  , 1.  , 0.02])
    """
    middle_s = (start_s + end_s) / 2
    early_s, late_s = (mention.start_s - lag_s) - middle_s, middle_s - mention.end_s
    distance_s = np.maximum(np.maximum(early_s, late_s), 0)
    weight = MIN_TIME_WEIGHT + (1 - MIN_TIME_WEIGHT) * np.exp(-((distance_s / width_s) ** 2) / 2)
    return np.where(np.isnan(middle_s), 1.0, weight)


def word_weights(across: Column, down: Column, mention: Mention) -> Column:
    """Weight places by the side and the height that a mention names.

    Args:
        across: position in the chest, from 0 at the left edge of the image's chest (the patient's right) to 1.
        down: position in the chest, from 0 at the top to 1 at the bottom.
        mention: the mention.

    Returns:
        Weights from `MIN_WORD_WEIGHT` to 1, shape (n,): about 1 in the half of the chest (for "middle", the middle
        half) that is named.

    Example:
        >>> place = np.array([0.2, 0.8])
        >>> word_weights(place, np.full(2, 0.5), Mention("edema", 10.0, 11.0, side="left")).round(2)
        array([0.02, 1.  ])
    """
    across_range = {"right": (-np.inf, 0.5), "left": (0.5, np.inf)}.get(mention.side, (-np.inf, np.inf))
    down_range = _HEIGHT_RANGES.get(mention.height, (-np.inf, np.inf))
    inside = soft_range(across, *across_range) * soft_range(down, *down_range)
    return MIN_WORD_WEIGHT + (1 - MIN_WORD_WEIGHT) * inside


def soft_range(values: Column, low: float, high: float, softness: float = EDGE_SOFTNESS) -> Column:
    """Return how far values lie inside a range with soft edges.

    Args:
        values: the values.
        low: lower end; the result is 1/2 there.
        high: upper end, likewise.
        softness: width of the edges.

    Returns:
        0 far outside to 1 far inside, a product of two logistic functions.
    """
    return _logistic((values - low) / softness) * _logistic((high - values) / softness)


def _logistic(values: Column) -> Column:
    return (1 + np.tanh(values * 2)) / 2
