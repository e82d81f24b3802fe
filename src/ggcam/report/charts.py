"""Charts as numbers for an SVG: what `charts.html.j2` draws in the colours of the page, light, dark and printed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

WIDTH, HEIGHT = 340, 270
"""Of a chart in its own units; the page scales it."""

LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 42
"""Margins for the axes."""

STYLES = 8
"""Series that colours and dashes tell apart."""


@dataclass(frozen=True)
class Axis:
    """What a side of a chart means.

    Attributes:
        label: what is measured, with its unit.
        low: value at the left or lower end.
        high: value at the other end.
        ticks: values to name.
    """

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]

    @classmethod
    def share(cls, label: str) -> Axis:
        """From 0 to 1."""
        return cls(label, 0.0, 1.0, (0, 0.25, 0.5, 0.75, 1))

    @classmethod
    def around(cls, label: str, values: Sequence[float] | np.ndarray, whole: bool = False, pad: float = 0.05) -> Axis:
        """An axis that all of the finite values fit on, with round ticks; from 0 to 1 where there is no value.

        Args:
            label: of the axis.
            values: any number of them.
            whole: only whole numbers are named, such as epochs.
            pad: room on either side, as a share of the range.
        """
        known = np.asarray(values, dtype=np.float64)
        known = known[np.isfinite(known)]
        if not len(known):
            return cls.share(label)
        low, high = float(known.min()), float(known.max())
        room = pad * (high - low) or 0.5 * abs(high) or 0.5
        low, high = low - room, high + room
        return cls(label, low, high, tuple(round_ticks(low, high, whole=whole)))

    def at(self, value: float) -> float:
        """Where a value lies, 0 to 1 of the way."""
        return (value - self.low) / (self.high - self.low)

    def percent(self, value: float) -> str:
        """The same for SVG and CSS, held between the ends."""
        return f"{100 * min(max(self.at(value), 0.0), 1.0):.2f}%"


@dataclass(frozen=True)
class Shape:
    """A path in a chart.

    Attributes:
        kind: line, band or guide (such as what guessing reaches).
        style: number of its series, which decides its colour and dashes.
        path: the SVG path.
    """

    kind: str
    style: int
    path: str


@dataclass(frozen=True)
class Dot:
    """A point in a chart; `size` is its radius."""

    style: int
    x: float
    y: float
    size: float
    text: str


@dataclass(frozen=True)
class Chart:
    """A chart, ready to be drawn.

    Attributes:
        title: above it.
        note: below the title, such as an area under the curve.
        alt_text: what it shows in words, for who does not see it.
        x: the lower axis.
        y: the left axis.
        shapes: from back to front.
        dots: over them.
        names: of the series, where there are several.
    """

    title: str
    note: str
    alt_text: str
    x: Axis
    y: Axis
    shapes: tuple[Shape, ...]
    dots: tuple[Dot, ...] = ()
    names: tuple[tuple[int, str], ...] = ()

    width, height, left, right, top, bottom = WIDTH, HEIGHT, LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM

    @property
    def x_ticks(self) -> Iterator[tuple[float, str]]:
        """Position and text of each name on the lower axis."""
        return ((x_of(self.x, value), tick(value)) for value in self.x.ticks)

    @property
    def y_ticks(self) -> Iterator[tuple[float, str]]:
        """Position and text of each name on the left axis."""
        return ((y_of(self.y, value), tick(value)) for value in self.y.ticks)


def line(
    x_axis: Axis,
    y_axis: Axis,
    x: Float[np.ndarray, " p"],
    y: Float[np.ndarray, " p"],
    style: int = 0,
    *,
    kind: str = "line",
    steps: bool = False,
) -> Shape:
    """A line through points, broken where a value is not finite; in steps where it holds until the next point."""
    parts: list[str] = []
    before: float | None = None
    for x_value, y_value in zip(x.tolist(), y.tolist(), strict=True):
        if not math.isfinite(y_value):
            before = None
            continue
        across, up = x_of(x_axis, x_value), y_of(y_axis, y_value)
        if before is None:
            parts.append(f"M{across:.1f} {up:.1f}")
        else:
            parts.append(f"H{across:.1f}V{up:.1f}" if steps else f"L{across:.1f} {up:.1f}")
        before = up
    return Shape(kind, style % STYLES, "".join(parts))


def band(
    x_axis: Axis,
    y_axis: Axis,
    x: Float[np.ndarray, " p"],
    low: Float[np.ndarray, " p"],
    high: Float[np.ndarray, " p"],
    style: int = 0,
) -> Shape:
    """What lies between two lines, where both are finite."""
    known = np.isfinite(low) & np.isfinite(high)
    xs = [x_of(x_axis, value) for value in x[known].tolist()]
    up = [f"{a:.1f} {y_of(y_axis, b):.1f}" for a, b in zip(xs, high[known].tolist(), strict=True)]
    down = [f"{a:.1f} {y_of(y_axis, b):.1f}" for a, b in zip(xs, low[known].tolist(), strict=True)]
    path = f"M{'L'.join(up)}L{'L'.join(reversed(down))}Z" if up else ""
    return Shape("band", style % STYLES, path)


def x_of(axis: Axis, value: float) -> float:
    """Position from the left edge of a chart."""
    return LEFT + axis.at(value) * (WIDTH - LEFT - RIGHT)


def y_of(axis: Axis, value: float) -> float:
    """Position from the upper edge of a chart."""
    return HEIGHT - BOTTOM - axis.at(value) * (HEIGHT - TOP - BOTTOM)


def tick(value: float) -> str:
    """A round value as an axis names it."""
    return f"{value:g}".replace("-", "−")


def round_ticks(low: float, high: float, most: int = 7, whole: bool = False) -> list[float]:
    """Round values between two ends: multiples of 1, 2 or 5 times a power of ten, about `most` of them."""
    unit = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(times * unit for times in (1, 2, 5, 10) if (high - low) / (times * unit) <= most * (1 + 1e-9))
    if whole:
        step = max(1.0, step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]
